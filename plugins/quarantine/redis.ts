import type { RandomBytes } from '#contract/clock'
import type { QuarantineEntry } from '#contract/quarantine'
import type { Log } from '#contract/telemetry'
import {
  firstConnection,
  redisClient,
  redisSubscriber,
  type RedisClient,
  type RedisClientOptions,
} from '#plugins/redis-client'
import { parseEntry } from './entry.ts'
import { addScript, extentScript, liftScript } from './redis-scripts.ts'
import { StoreUnavailable, type SharedStore, type StoredChange } from './store.ts'

const portion = 500
const keyCount = 4
const nameBytes = 8
/** So many changes are kept for those who were away a while; whoever was longer reads the whole list. */
const keptChanges = 10_000

export type RedisStoreOptions = RedisClientOptions & {
  /** Name of the list. */
  readonly list: string
}

/**
 * A list in Redis, be it one server, a master found by sentinels, or a cluster: a hash of the entries, a stream of the changes, whose ids are their order, and a channel
 * that says that there is a new one. Both are changed by one script, so they never tell different stories.
 *
 * Waits up to a second for the first connection, and goes on without it.
 *
 * @throws TypeError for URLs and settings that do not fit together; it does not repeat a URL, which holds a password.
 */
export const redisStore = async (
  options: RedisStoreOptions,
  { randomBytes, log }: { readonly randomBytes: RandomBytes; readonly log: Log },
): Promise<SharedStore> => {
  const { list, ...server } = options
  const parts = { setting: 'quarantine.redis', randomBytes }
  const client = redisClient(server, { connectionName: 'sallyport-quarantine', ...parts })
  const subscriber = redisSubscriber(server, {
    connectionName: 'sallyport-quarantine-news',
    ...parts,
  })
  const keys = keysOf(list)
  let tell = () => {}
  for (const each of [client, subscriber]) each.on('error', () => {}) // what is asked of it says so
  // After each connection anew, and whatever came while there was none is news, too.
  subscriber.on('ready', () => {
    subscriber.subscribe(keys.news).then(
      () => tell(),
      () => reconnect(subscriber),
    )
  })
  subscriber.on('message', () => tell())
  await Promise.all([firstConnection(client), firstConnection(subscriber)])

  const unreadable = (id: string, why: string | undefined) =>
    log.error(
      { id, why },
      'an entry of the shared quarantine cannot be read and is not in force here',
    )
  const entriesIn = (texts: readonly (readonly [id: string, text: string])[]) =>
    texts.flatMap(([id, text]) => {
      const entry = parseEntry(parsed(text))
      if (entry.ok) return [entry.value]
      unreadable(id, entry.problem.detail)
      return []
    })
  const changeIn = ([id, fields]: Row): readonly StoredChange[] => {
    const { add, lift, at } = fieldsOf(fields)
    const orderedAtMs = Number(at)
    if (lift !== undefined) return [{ id, change: { lift }, orderedAtMs }]
    const [entry] = entriesIn([[id, add ?? '']])
    // One that cannot be read still has its place: else it would look as if this change had been lost.
    return [{ id, change: entry === undefined ? { lift: '' } : { add: entry }, orderedAtMs }]
  }

  return {
    extent: async () => {
      const answer = await answerOf(client.eval(extentScript, keyCount, ...keys.all))
      const [born = '', oldest = '', last = ''] = answer as readonly string[]
      return { born, oldest, last }
    },
    changesFrom: async (id, max) =>
      (await answerOf(client.xrange(keys.changes, id, '+', 'COUNT', max))).flatMap(changeIn),
    entries: async () => {
      const found = new Map<string, QuarantineEntry>()
      let cursor = '0'
      do {
        const [next, fields] = await answerOf(client.hscan(keys.entries, cursor, 'COUNT', portion))
        for (const entry of entriesIn(pairsOf(fields))) found.set(entry.id, entry)
        cursor = next
      } while (cursor !== '0')
      return [...found.values()]
    },
    add: async (entry, maxEntries, nowMs) =>
      (await answerOf(
        client.eval(
          addScript,
          keyCount,
          ...keys.all,
          entry.id,
          JSON.stringify(entry),
          nowMs,
          keptChanges,
          maxEntries,
          randomBytes(nameBytes).toString('hex'),
        ),
      )) as 'added' | 'there' | 'full',
    lift: async (id, nowMs) =>
      (await answerOf(client.eval(liftScript, keyCount, ...keys.all, id, nowMs, keptChanges))) as
        | 'lifted'
        | 'absent',
    forget: async (ids) => {
      for (let i = 0; i < ids.length; i += portion)
        await answerOf(client.hdel(keys.entries, ...ids.slice(i, i + portion)))
    },
    onNews: (listener) => {
      tell = listener
    },
    checkNews: async () => {
      // Of a cluster it listens to one node and would ask another; a node that hangs is noticed by the client.
      if (subscriber.isCluster || subscriber.status !== 'ready') return
      // A connection that ended without a word is noticed by nobody who only listens.
      await subscriber.ping().catch(() => reconnect(subscriber))
    },
    close: () => {
      client.disconnect()
      subscriber.disconnect()
    },
  }
}

const reconnect = (client: RedisClient): void => client.disconnect(true)

const answerOf = async <T>(command: Promise<T>): Promise<T> => {
  try {
    return await command
  } catch (cause) {
    // The message alone: the error of a command holds its arguments.
    throw new StoreUnavailable(cause instanceof Error ? cause.message : String(cause))
  }
}

/** In braces what has to be in one slot of a cluster. */
const keysOf = (list: string) => {
  const of = (what: string) => `{sallyport:${list}}:${what}`
  const [entries, changes, news] = [of('entries'), of('changes'), of('news')]
  return { entries, changes, news, all: [entries, changes, news, of('born')] as const }
}

type Row = readonly [id: string, fields: readonly string[]]

const pairsOf = (fields: readonly string[]): readonly (readonly [string, string])[] =>
  Array.from({ length: fields.length >> 1 }, (_, i) => [
    fields[2 * i] ?? '',
    fields[2 * i + 1] ?? '',
  ])

const fieldsOf = (fields: readonly string[]): Readonly<Record<string, string | undefined>> =>
  Object.fromEntries(pairsOf(fields))

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
