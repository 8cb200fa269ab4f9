import { open } from 'node:fs/promises'
import { causeText } from '#contract/cause'
import type { SpiffeId } from '#contract/spiffe-id'
import { writeAtomically } from '#http/write-atomically'
import { parseStrictObject } from '../json-strict.ts'
import { bad, type Outcome } from '../outcome.ts'
import { checkSvid } from './check-svid.ts'
import type { Svid } from './svid.ts'

const maxFileBytes = 262_144
const ownerAlone = 0o600
const others = 0o077

/**
 * Reads what `keepSvid` wrote, and judges it like one that has just come.
 *
 * @returns A fault says why it is of no use, also that others than its owner can read it.
 */
export const keptSvid = async (
  file: string,
  spiffeId: SpiffeId,
  nowMs: number,
): Promise<Outcome<Svid>> => {
  const read = await readPrivate(file)
  if (!read.ok) return read
  const parsed = parseStrictObject(read.value)
  if (!parsed.ok) return parsed
  const { certificateChain, privateKey, bundle } = parsed.value
  if (
    typeof certificateChain !== 'string' ||
    typeof privateKey !== 'string' ||
    typeof bundle !== 'string'
  )
    return bad('it lacks certificate, key or bundle')
  const svid = checkSvid({ certificateChain, privateKey, bundle }, nowMs)
  return svid.ok && svid.value.spiffeId !== spiffeId
    ? bad(`it is of ${svid.value.spiffeId}, not of ${spiffeId}`)
    : svid
}

/** Writes it with its key and the roots, mode 600; after a power cut the old one is there or the new one, whole. */
export const keepSvid = (file: string, svid: Svid): Promise<void> => {
  const { certificateChain, privateKey, bundle } = svid
  const text = JSON.stringify({ certificateChain, privateKey: privateKey.reveal(), bundle })
  return writeAtomically(file, `${text}\n`, ownerAlone)
}

const readPrivate = async (file: string): Promise<Outcome<Buffer>> => {
  try {
    await using handle = await open(file, 'r')
    const { mode } = await handle.stat()
    if (process.platform !== 'win32' && (mode & others) !== 0)
      return bad('others than its owner may read it; take those rights away, and join anew')
    const buffer = Buffer.alloc(maxFileBytes)
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0)
    return { ok: true, value: buffer.subarray(0, bytesRead) }
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause
    return bad(causeText(cause))
  }
}
