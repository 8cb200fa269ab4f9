import type { Control, Effect } from '../seclang/syntax.ts'
import { changeNumber } from './constants.ts'
import { expandMacro } from './macro.ts'
import type { State } from './state.ts'
import { makeStore, type Store } from './store.ts'
import { readVariable } from './variables.ts'

const nothing: ReadonlyMap<string, string> = new Map()
/** A value that a rule keeps may be as long as what the client sent; all together must not be. */
const maxKeptBytes = 65_536

/** Does what a match does besides deciding. */
export const performEffects = (state: State, effects: readonly Effect[]): void => {
  for (const effect of effects) perform(state, effect)
}

const perform = (state: State, effect: Effect): void => {
  const read = (variable: string, key: string | undefined) => readVariable(state, variable, key)
  switch (effect.kind) {
    case 'setvar': {
      const store = storeOf(state, effect.collection)
      const name = expandMacro(effect.name, read)
      const { change } = effect
      if (change.how === 'unset') store.unset(name)
      else {
        const value = expandMacro(change.value, read).slice(0, maxKeptBytes)
        store.set(name, change.how === 'set' ? value : changeNumber(store.get(name), change.how, value))
      }
      return
    }
    case 'initcol':
      storeOf(state, effect.collection).set('key', expandMacro(effect.key, read))
      return
    case 'ctl':
      control(state, effect.change)
      return
    default:
      effect satisfies never
  }
}

const storeOf = (state: State, collection: string): Store => {
  if (collection === 'TX') return state.tx
  const known = state.collections.get(collection)
  if (known) return known
  const made = makeStore(nothing)
  state.collections.set(collection, made)
  return made
}

const control = (state: State, change: Control): void => {
  switch (change.what) {
    case 'removeById':
      state.removals.push({ ids: change.ids })
      return
    case 'removeByTag':
      state.removals.push({ tag: change.test })
      return
    case 'removeByMsg':
      state.removals.push({ msg: change.test })
      return
    case 'removeTargetById':
      state.removals.push({ ids: change.ids, target: change.target })
      return
    case 'removeTargetByTag':
      state.removals.push({ tag: change.test, target: change.target })
      return
    case 'removeTargetByMsg':
      state.removals.push({ msg: change.test, target: change.target })
      return
    case 'ruleEngine':
      state.mode = change.mode
      return
    case 'requestBodyProcessor':
      state.bodyProcessor = change.processor
      return
    case 'forceRequestBodyVariable':
      state.forceRequestBodyVariable = change.on
      return
    case 'requestBodyAccess':
      state.requestBodyAccess = change.on
      return
    case 'responseBodyAccess':
      state.responseBodyAccess = change.on
      return
    case 'requestBodyLimit':
      state.requestBodyLimit = change.bytes
      return
    case 'responseBodyLimit':
      state.responseBodyLimit = change.bytes
      return
    case 'logging':
      return
    default:
      change satisfies never
  }
}
