import { entriesOf, lowerKey, type Entries } from './entries.ts'

/**
 * Variables that rules write. Names ignore case. What all requests begin with is shared and copied by none: only
 * changes are kept here.
 */
export type Store = {
  readonly get: (name: string) => string | undefined
  readonly set: (name: string, value: string) => void
  readonly unset: (name: string) => void
  /** All that is set, for selectors that are patterns. */
  readonly entries: () => Entries
}

/** Rules can make names out of what a request holds, so their number is bounded; more are not kept. */
const maxOwn = 5000

export const makeStore = (base: ReadonlyMap<string, string>): Store => {
  const own = new Map<string, string | undefined>()
  const put = (name: string, value: string | undefined) => {
    const key = lowerKey(name)
    if (own.size < maxOwn || own.has(key)) own.set(key, value)
  }
  return {
    get: (name) => {
      const key = lowerKey(name)
      const value = own.get(key)
      return value === undefined && !own.has(key) ? base.get(key) : value
    },
    set: put,
    unset: (name) => put(name, undefined),
    entries: () => {
      const all = new Map<string, string | undefined>([...base, ...own])
      const kept = [...all].filter((entry): entry is [string, string] => entry[1] !== undefined)
      return entriesOf(
        kept.map(([name]) => name),
        kept.map(([, value]) => value),
      )
    },
  }
}
