import { readFile } from 'node:fs/promises'
import type { Clock, RandomBytes } from '#contract/clock'
import type { Log, Meter } from '#contract/telemetry'
import { quarantineFile } from './file.ts'
import type { QuarantineList } from './list.ts'
import { memoryList } from './memory.ts'
import type { QuarantineOptions } from './options.ts'
import { sharedList } from './shared.ts'

export type OpenParts = {
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly meter: Meter
  readonly log: Log
}

/**
 * Opens the list of a gateway: its own, or the one that it shares through Redis.
 *
 * @throws Error that names the file and the remedy when what was written down cannot be read; TypeError for a URL that is
 *   not one of Redis.
 */
export const openQuarantine = async (
  { maxEntries, file, redis }: QuarantineOptions,
  parts: OpenParts,
): Promise<QuarantineList> => {
  const known = {
    ...parts,
    file: file === undefined ? undefined : await quarantineFile(file, parts.log),
  }
  if (redis === undefined) return memoryList(maxEntries, known)
  const { caFile, ...options } = redis
  const ca = caFile === undefined ? {} : { ca: await readFile(caFile, 'utf8') }
  const { redisStore } = await import('./redis.ts') // where there is none, its client is not loaded
  return sharedList(await redisStore({ ...options, ...ca }, parts), maxEntries, known)
}
