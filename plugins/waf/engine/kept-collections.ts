import { changeNumber } from './constants.ts'
import { entriesOf, type Entries } from './entries.ts'
import type { Store } from './store.ts'

/** Collections that outlive a request, by the key that `initcol` gave: IP, GLOBAL, SESSION, USER, RESOURCE. */
export type KeptCollections = {
  /** The collection as this request sees it. What it sets, others see at once. */
  readonly open: (collection: string, key: string, nowMs: number) => Store
  /** How many are kept. */
  readonly size: () => number
}

/** Requests choose keys, and rules put parts of requests into values: both are bounded. */
const maxKept = 20_000
const maxKeptBytes = 4096
const maxKeyBytes = 512

type Value = { readonly text: string; readonly writtenMs: number; readonly endsMs: number }
type Kept = {
  readonly values: Map<string, Value>
  bytes: number
  readonly createdMs: number
  updatedMs: number
  updates: number
}

/**
 * Keeps them in memory, as long as the process and the rules that wrote them. Who is written to least recently goes
 * first when there are too many; one is forgotten `timeoutSeconds` after its last change (SecCollectionTimeout).
 */
export const makeKeptCollections = (timeoutSeconds: number): KeptCollections => {
  const kept = new Map<string, Kept>()
  const timeoutMs = timeoutSeconds * 1000
  const keep = (id: string, one: Kept): void => {
    kept.delete(id)
    kept.set(id, one)
    const [oldest] = kept.keys()
    if (kept.size > maxKept && oldest !== undefined) kept.delete(oldest)
  }
  const open: KeptCollections['open'] = (collection, wholeKey, nowMs) => {
    const key = wholeKey.slice(0, maxKeyBytes)
    const id = `${collection} ${key}`
    const find = (): Kept | undefined => {
      const one = kept.get(id)
      if (one && one.updatedMs + timeoutMs > nowMs) return one
      kept.delete(id)
      return undefined
    }
    const read = (one: Kept | undefined, name: string): Value | undefined => {
      const value = one?.values.get(name)
      return value && value.endsMs > nowMs ? value : undefined
    }
    const remove = (one: Kept, name: string): void => {
      one.bytes -= name.length + (one.values.get(name)?.text.length ?? -name.length)
      one.values.delete(name)
    }
    const write = (name: string, text: string, endsMs: number): void => {
      const one = find() ?? newKept(nowMs)
      remove(one, name)
      const bytes = name.length + text.length
      if (one.bytes + bytes > maxKeptBytes) return
      one.values.set(name, { text, writtenMs: nowMs, endsMs })
      one.bytes += bytes
      one.updatedMs = nowMs
      one.updates += 1
      keep(id, one)
    }
    return {
      get: (name) => {
        const one = find()
        return ownOf(one, key, timeoutSeconds, nowMs)[name] ?? read(one, name)?.text
      },
      set: (name, text) => write(name, text, Number.POSITIVE_INFINITY),
      unset: (name) => {
        const one = find()
        if (one) remove(one, name)
      },
      capture: () => {},
      select: (accepts) => entriesFor(find(), accepts),
      expire: (name, afterMs) => {
        const value = read(find(), name)
        if (value) write(name, value.text, nowMs + afterMs)
      },
      deprecate: (name, by, everyMs) => {
        const value = read(find(), name)
        const periods = value ? Math.floor((nowMs - value.writtenMs) / everyMs) : 0
        if (!value || periods < 1) return
        write(name, changeNumber(value.text, 'subtract', String(by * periods)), value.endsMs)
      },
    }
    function entriesFor(one: Kept | undefined, accepts?: (name: string) => boolean): Entries {
      const all: [string, string][] = Object.entries(ownOf(one, key, timeoutSeconds, nowMs))
      for (const [name, { text, endsMs }] of one?.values ?? [])
        if (endsMs > nowMs) all.push([name, text])
      const chosen = accepts ? all.filter(([name]) => accepts(name)) : all
      return entriesOf(
        chosen.map(([name]) => name),
        chosen.map(([, text]) => text),
      )
    }
  }
  return { open, size: () => kept.size }
}

const newKept = (nowMs: number): Kept => ({
  values: new Map(),
  bytes: 0,
  createdMs: nowMs,
  updatedMs: nowMs,
  updates: 0,
})

/** What a collection says of itself. */
const ownOf = (
  one: Kept | undefined,
  key: string,
  timeoutSeconds: number,
  nowMs: number,
): Readonly<Record<string, string>> => {
  const seconds = (ms: number) => String(Math.floor(ms / 1000))
  const minutes = one ? (nowMs - one.createdMs) / 60_000 : 0
  return {
    key,
    is_new: one ? '0' : '1',
    timeout: String(timeoutSeconds),
    create_time: seconds(one?.createdMs ?? nowMs),
    last_update_time: seconds(one?.updatedMs ?? nowMs),
    update_counter: String(one?.updates ?? 0),
    update_rate: String(minutes > 0 ? Math.round((one?.updates ?? 0) / minutes) : 0),
  }
}
