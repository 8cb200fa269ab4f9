import type { Control, Effect } from '../seclang/syntax.ts'
import { leadingInteger } from '../operators/compare-numbers.ts'
import { changeNumber } from './constants.ts'
import { lowerKey } from './entries.ts'
import { compileMacro } from './read-macro.ts'
import type { Removal, State } from './state.ts'
import { makeStore, makeStoreBase, type Store } from './store.ts'

const nothing = makeStoreBase(new Map())
/** A value that a rule keeps may be as long as what the client sent; all together must not be. */
const maxKeptBytes = 65_536

/** What a match does besides deciding, as one function of the request. */
export const compileEffects = (effects: readonly Effect[]): ((state: State) => void) => {
  const compiled = effects.map(compileEffect)
  const [only] = compiled
  if (only && compiled.length === 1) return only
  return (state) => {
    for (const effect of compiled) effect(state)
  }
}

const compileEffect = (effect: Effect): ((state: State) => void) => {
  switch (effect.kind) {
    case 'setvar':
      return compileSetvar(effect)
    case 'initcol': {
      const key = compileMacro(effect.key)
      return (state) =>
        state.collections.set(
          effect.collection,
          state.kept.open(effect.collection, key(state), state.request.input.nowMs),
        )
    }
    case 'expirevar': {
      const name = compileMacro(effect.name)
      const seconds = compileMacro(effect.seconds)
      return (state) =>
        storeOf(state, effect.collection).expire(
          lowerKey(name(state)),
          leadingInteger(seconds(state)) * 1000,
        )
    }
    case 'deprecatevar': {
      const name = compileMacro(effect.name)
      return (state) =>
        storeOf(state, effect.collection).deprecate(
          lowerKey(name(state)),
          effect.by,
          effect.everySeconds * 1000,
        )
    }
    case 'ctl': {
      const { change } = effect
      return (state) => control(state, change)
    }
    default:
      return effect satisfies never
  }
}

const compileSetvar = ({
  collection,
  name,
  change,
}: Extract<Effect, { kind: 'setvar' }>): ((state: State) => void) => {
  const constantKey = name.text === undefined ? undefined : lowerKey(name.text)
  const expandName = compileMacro(name)
  const keyOf = (state: State) => constantKey ?? lowerKey(expandName(state))
  if (change.how === 'unset') return (state) => storeOf(state, collection).unset(keyOf(state))
  const expandValue = compileMacro(change.value)
  const { how } = change
  if (how === 'set')
    return (state) => {
      const value = expandValue(state)
      storeOf(state, collection).set(
        keyOf(state),
        value.length > maxKeptBytes ? value.slice(0, maxKeptBytes) : value,
      )
    }
  return (state) => {
    const store = storeOf(state, collection)
    const key = keyOf(state)
    store.set(key, changeNumber(store.get(key), how, expandValue(state)))
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

const remove = (state: State, removal: Removal): void => {
  // Rules add one a match, so a request with many arguments could add many.
  if (state.removals.length < maxRemovals) state.removals.push(removal)
}
const maxRemovals = 2000

const control = (state: State, change: Control): void => {
  switch (change.what) {
    case 'removeById':
      return remove(state, { ids: change.ids })
    case 'removeByTag':
      return remove(state, { tag: change.test })
    case 'removeByMsg':
      return remove(state, { msg: change.test })
    case 'removeTargetById':
      return remove(state, { ids: change.ids, target: change.target })
    case 'removeTargetByTag':
      return remove(state, { tag: change.test, target: change.target })
    case 'removeTargetByMsg':
      return remove(state, { msg: change.test, target: change.target })
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
