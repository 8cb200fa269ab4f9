import { entriesOf, lowerKey, noEntries, type Entries } from './entries.ts'

/**
 * Variables that rules write. Names ignore case. What all requests begin with is shared and copied by none: only
 * changes are kept here.
 */
export type Store = {
  readonly get: (name: string) => string | undefined
  readonly set: (name: string, value: string) => void
  readonly unset: (name: string) => void
  /** All that is set. */
  readonly entries: () => Entries
  /** What is set under the names that `accepts` accepts. */
  readonly select: (accepts: (name: string) => boolean) => Entries
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
    entries: () => entriesOfMap(new Map<string, string | undefined>([...base, ...own])),
    select: (accepts) => {
      const found = new Map<string, string | undefined>()
      for (const [name, value] of base) if (!own.has(name) && accepts(name)) found.set(name, value)
      for (const [name, value] of own) if (accepts(name)) found.set(name, value)
      return found.size === 0 ? noEntries : entriesOfMap(found)
    },
  }
}

const entriesOfMap = (map: ReadonlyMap<string, string | undefined>): Entries => {
  const kept = [...map].filter((entry): entry is [string, string] => entry[1] !== undefined)
  return entriesOf(
    kept.map(([name]) => name),
    kept.map(([, value]) => value),
  )
}
