import { readFile } from 'node:fs/promises'
import type { BucketStore } from './bucket.ts'
import { memoryStore } from './memory.ts'
import type { RateLimitStoreOptions } from './options.ts'
import type { StoreParts } from './redis.ts'

export type LimitStores = {
  readonly addresses: BucketStore
  readonly callers: BucketStore
  readonly close: () => Promise<void>
}

/**
 * Opens where limits are counted: one Redis for all, or memory with two tables, for what anyone can make up
 * (addresses) must fill no slot of what had to be proved (callers).
 *
 * @throws TypeError for URLs of Redis and settings that do not fit together.
 */
export const limitStores = async (
  { redis, memorySlots }: RateLimitStoreOptions,
  parts: StoreParts,
): Promise<LimitStores> => {
  if (redis) {
    const { caFile, ...where } = redis
    const ca = caFile === undefined ? {} : { ca: await readFile(caFile, 'utf8') }
    const { redisStore } = await import('./redis.ts') // where there is none, its client is not loaded
    const shared = await redisStore({ ...where, memorySlots, ...ca }, parts)
    return { addresses: shared, callers: shared, close: shared.close }
  }
  const addresses = memoryStore({ slots: memorySlots }, parts)
  const callers = memoryStore({ slots: memorySlots }, parts)
  return {
    addresses,
    callers,
    close: async () => {
      await Promise.all([addresses.close(), callers.close()])
    },
  }
}
