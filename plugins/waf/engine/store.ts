import { entriesOf, noEntries, type Entries } from './entries.ts'

/**
 * Variables that rules write. Names are lower-case, as they ignore case. What all requests begin with is shared and
 * copied by none: only changes are kept here.
 */
export type Store = {
  readonly get: (key: string) => string | undefined
  readonly set: (key: string, value: string) => void
  readonly unset: (key: string) => void
  /** Sets 0 to 9 to what an operator captured; those it did not capture are unset. */
  readonly capture: (groups: readonly string[]) => void
  /** What is set under the names that `accepts` accepts; all without it. */
  readonly select: (accepts?: (key: string) => boolean) => Entries
  /** `expirevar`: unsets it after a time. Says nothing of a store that ends with the request. */
  readonly expire: (key: string, afterMs: number) => void
  /** `deprecatevar`: takes so much off a number for each time that passed since it was written. Not below zero. */
  readonly deprecate: (key: string, by: number, everyMs: number) => void
}

/** What stores begin with, and which of its names a selector chose before: that never changes. */
export type StoreBase = {
  readonly values: ReadonlyMap<string, string>
  readonly chosen: Map<(key: string) => boolean, readonly string[]>
}
export const makeStoreBase = (values: ReadonlyMap<string, string>): StoreBase => ({
  values,
  chosen: new Map(),
})

/** Rules can make names out of what a request holds, so their number is bounded; more are not kept. */
const maxOwn = 5000

export const makeStore = (base: StoreBase): Store => {
  const { values: shared } = base
  const own = new Map<string, string | undefined>()
  let captured: readonly string[] = []
  const put = (key: string, value: string | undefined) => {
    const digit = digitOf(key)
    if (digit >= 0) captured = captured.toSpliced(digit, 1, value ?? '')
    else if (own.size < maxOwn || own.has(key)) own.set(key, value)
  }
  const select: Store['select'] = (accepts) => {
    const names: string[] = []
    const values: string[] = []
    const add = (key: string, value: string | undefined) => {
      if (value === undefined || (accepts && !accepts(key))) return
      names.push(key)
      values.push(value)
    }
    for (const key of chosenOf(base, accepts)) if (!own.has(key)) add(key, shared.get(key))
    for (const [key, value] of own) add(key, value)
    captured.forEach((value, i) => add(String(i), value))
    return names.length === 0 ? noEntries : entriesOf(names, values)
  }
  return {
    get: (key) => {
      const digit = digitOf(key)
      if (digit >= 0) return captured[digit]
      const value = own.get(key)
      return value === undefined && !own.has(key) ? shared.get(key) : value
    },
    set: put,
    unset: (key) => put(key, undefined),
    capture: (groups) => {
      captured = groups.length > 10 ? groups.slice(0, 10) : groups
    },
    select,
    expire: () => {},
    deprecate: () => {},
  }
}

const chosenOf = (base: StoreBase, accepts?: (key: string) => boolean): Iterable<string> => {
  if (!accepts) return base.values.keys()
  const known = base.chosen.get(accepts)
  if (known) return known
  const chosen = [...base.values.keys()].filter(accepts)
  base.chosen.set(accepts, chosen)
  return chosen
}

const digitOf = (key: string): number => {
  if (key.length !== 1) return -1
  const digit = key.charCodeAt(0) - 48
  return digit >= 0 && digit <= 9 ? digit : -1
}
