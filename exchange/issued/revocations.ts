import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { causeText } from '#contract/cause'
import type { Log } from '#contract/telemetry'
import { writeAtomically } from '#http/write-atomically'
import { serially } from '../serially.ts'

/** Ids that were taken back, by when each would have ended anyway (milliseconds). */
export type Revoked = ReadonlyMap<string, number>

/** Keeps what was taken back through a restart. */
export type Revocations = {
  /** @throws Error that names the file and the remedy: what was revoked must not come back because a file is damaged. */
  readonly load: (nowMs: number) => Promise<Revoked>
  /**
   * Adds some. Says whether they will be there after a power cut.
   *
   * @param all What is to be kept in all, `added` among it: now and then it replaces what has ended.
   */
  readonly add: (added: readonly string[], all: Revoked) => Promise<boolean>
}

/** For an exchange whose keys do not outlive it: then no token of it does. */
export const noRevocations: Revocations = {
  load: async () => new Map(),
  add: async () => true,
}

const fileName = 'revoked'
/** Each line is an end and an id; an id has at most 128 characters. */
const lineShape = /^(\d{1,15}) ([\w-]{1,128})$/
const spareLines = 1000

/**
 * One line for each id in a file beside the keys, added and synced before it is said to be revoked. When most of its lines
 * have ended it is written anew.
 */
export const revocationsIn = (directory: string, maxEntries: number, log: Log): Revocations => {
  const file = join(directory, fileName)
  const inTurn = serially()
  let lines = 0

  const rewrite = async (all: Revoked) => {
    await writeAtomically(file, [...all].map(lineOf).join(''), 0o600)
    lines = all.size
  }
  const append = async (added: readonly string[], all: Revoked) => {
    const text = added.map((id) => lineOf([id, all.get(id) ?? 0])).join('')
    const handle = await open(file, 'a', 0o600)
    try {
      await handle.appendFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    lines += added.length
  }

  return {
    load: async (nowMs) => {
      const text = await readBounded(file, maxEntries)
      const all = new Map(parse(file, text).filter(([, expiresAtMs]) => expiresAtMs > nowMs))
      await rewrite(all) // a half line at the end would spoil the next one
      return all
    },
    add: (added, all) =>
      inTurn(async () => {
        try {
          const isMostlyOver = lines + added.length > 2 * all.size + spareLines
          await (isMostlyOver ? rewrite(all) : append(added, all))
          return true
        } catch (cause) {
          log.error({ file, reason: causeText(cause) }, 'what was revoked could not be written')
          return false
        }
      }),
  }
}

const lineOf = ([id, expiresAtMs]: readonly [string, number]): string => `${expiresAtMs} ${id}\n`

/** What stands behind the last line's end was not whole when the power went, so nobody was told that it is revoked. */
const parse = (file: string, text: string): readonly (readonly [string, number])[] =>
  text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .slice(0, -1)
    .map((line, i) => {
      const [, expiresAt, id] = lineShape.exec(line) ?? []
      if (id === undefined) throw new Error(`${file}:${i + 1} is damaged. Remedy: ${remedy}.`)
      return [id, Number(expiresAt)] as const
    })

const remedy =
  'take that line out, or move the file away; then what was revoked before lives on until it ends'
const maxLineBytes = 150

const readBounded = async (file: string, maxEntries: number): Promise<string> => {
  const maxBytes = (2 * maxEntries + spareLines) * maxLineBytes
  try {
    // A link could lead to a file that others can change.
    const handle = await open(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0))
    try {
      const { size } = await handle.stat()
      if (size > maxBytes)
        throw new Error(`${file} has more than ${maxBytes} bytes. Remedy: ${remedy}.`)
      return await handle.readFile('utf8')
    } finally {
      await handle.close()
    }
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return ''
    throw cause
  }
}
