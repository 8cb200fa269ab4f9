import { constants } from 'node:fs'
import { mkdir, open, readdir, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { causeText } from '#contract/cause'
import type { Clock } from '#contract/clock'
import type { Log } from '#contract/telemetry'
import { syncFolder } from '#http/write-atomically'
import { issuedLine, readIssuedLine, type Issued } from './issued.ts'

/** Keeps what was issued through a restart: who holds it, and what it came from. */
export type IssuedJournal = {
  /**
   * What had not ended, in the order in which it was issued.
   *
   * @throws Error that names the file and the remedy: what came from a token must not outlive it because a file is damaged.
   */
  readonly load: () => Promise<readonly Issued[]>
  /** Says whether it will be there when the exchange starts again. A power cut may take the last second of it. */
  readonly add: (issued: Issued) => Promise<boolean>
  readonly close: () => Promise<void>
}

/** For an exchange whose keys do not outlive it: then nothing that it issued does. */
export const noIssuedJournal: IssuedJournal = {
  load: async () => [],
  add: async () => true,
  close: async () => {},
}

const folderName = 'issued'
const fileShape = /^[0-9]{12}$/
const maxFileAgeMs = 600_000
const maxFileBytes = 8 * 1024 * 1024
/** So long what was written may stay with the operating system alone. */
const syncWithinMs = 1000
/** A file ends with the group of lines that fills it. */
const maxReadBytes = 8 * maxFileBytes
const minLinesPerFile = 1000

type Segment = { readonly file: string; readonly lines: number; readonly endsAtMs: number }
type Open = { readonly handle: FileHandle; readonly bytes: number; readonly beganAtMs: number }
type Waiting = { readonly issued: Issued; readonly done: (isWritten: boolean) => void }

/**
 * One line for each credential, in files of ten minutes each in a folder beside the keys. Nothing is written twice: a file
 * whose credentials have all ended is deleted as a whole, and so are the oldest beyond `maxEntries`, which the register has
 * forgotten, too. All that is issued while the disk is busy is written at once.
 *
 * What is written outlives the process at once, and the machine within a second: one sync for all of that second, beside
 * which writing goes on. Waiting for a sync before each token would make every caller pay the disk's slowest part; what a
 * power cut can take instead is who held what of the last second, so that revoking a parent of before no longer finds those
 * children, which end with their parent at the latest. What was revoked itself is synced before it is said to be (`revocations.ts`).
 */
export const issuedJournalIn = (
  directory: string,
  maxEntries: number,
  clock: Clock,
  log: Log,
): IssuedJournal => {
  const folder = join(directory, folderName)
  const maxLinesPerFile = Math.max(minLinesPerFile, Math.ceil(maxEntries / 8))
  let closed: readonly Segment[] = []
  let current: (Segment & Open) | undefined
  let nextNumber = 0
  let waiting: Waiting[] = []
  let isWriting = false
  let isUnsynced = false
  let isSyncing = false
  let syncDue: NodeJS.Timeout | undefined
  /** What nobody who waits for a token waits for. */
  const besides = new Set<Promise<void>>()
  /** A group was written in part: what stands behind the last whole one has to go. */
  let isTorn = false

  const beside = (work: () => Promise<void>) => {
    const done: Promise<void> = work()
      .catch((cause: unknown) =>
        log.error({ folder, reason: causeText(cause) }, 'what was issued may be lost'),
      )
      .finally(() => besides.delete(done))
    besides.add(done)
  }
  const startFile = async (): Promise<Segment & Open> => {
    const file = join(folder, String(nextNumber++).padStart(12, '0'))
    const handle = await open(file, 'wx', 0o600)
    beside(() => syncFolder(folder)) // a file is there after a power cut only if its name is
    return { file, lines: 0, endsAtMs: 0, handle, bytes: 0, beganAtMs: clock() }
  }
  const isFull = ({ bytes, lines, beganAtMs }: Segment & Open) =>
    bytes >= maxFileBytes || lines >= maxLinesPerFile || clock() - beganAtMs >= maxFileAgeMs
  const finish = ({ handle, file, lines, endsAtMs }: Segment & Open) => {
    current = undefined
    closed = [...closed, { file, lines, endsAtMs }]
    beside(() => handle.datasync().finally(() => handle.close()))
  }
  const sync = () => {
    clearTimeout(syncDue)
    syncDue = undefined
    const { handle } = current ?? {}
    if (!isUnsynced || handle === undefined) return
    // A disk that is slow gets the next one when this is done: they would take the threads that write.
    if (isSyncing) {
      syncDue = setTimeout(sync, syncWithinMs)
      return
    }
    isUnsynced = false
    isSyncing = true
    beside(async () => {
      await handle.datasync().finally(() => {
        isSyncing = false
      })
    })
  }
  const deleteEnded = async () => {
    const nowMs = clock()
    let newer = 0
    const isWanted = ({ endsAtMs, lines }: Segment) => {
      const isRemembered = newer < maxEntries
      newer += lines
      return isRemembered && endsAtMs > nowMs
    }
    const wanted = closed.toReversed().filter(isWanted).toReversed()
    for (const { file } of closed.filter((segment) => !wanted.includes(segment)))
      await rm(file, { force: true })
    closed = wanted
  }

  const write = async (group: readonly Waiting[]) => {
    if (current !== undefined && isFull(current)) {
      finish(current)
      await deleteEnded()
    }
    current ??= await startFile()
    const { handle, bytes, lines, endsAtMs } = current
    if (isTorn) await handle.truncate(bytes)
    isTorn = true
    const text = Buffer.from(group.map(({ issued }) => `${issuedLine(issued)}\n`).join(''))
    for (let at = 0; at < text.length;)
      at += (await handle.write(text, at, text.length - at, bytes + at)).bytesWritten
    isTorn = false
    isUnsynced = true
    syncDue ??= setTimeout(sync, syncWithinMs)
    current = {
      ...current,
      bytes: bytes + text.length,
      lines: lines + group.length,
      endsAtMs: Math.max(endsAtMs, ...group.map(({ issued }) => issued.expiresAtMs)),
    }
  }
  const writeAll = async () => {
    while (waiting.length > 0) {
      const group = waiting
      waiting = []
      let isWritten = true
      try {
        await write(group)
      } catch (cause) {
        isWritten = false
        log.error({ folder, reason: causeText(cause) }, 'what was issued could not be written')
      }
      for (const { done } of group) done(isWritten)
    }
    isWriting = false
  }

  return {
    load: async () => {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      const names = (await readdir(folder)).filter((name) => fileShape.test(name)).toSorted()
      nextNumber = Number(names.at(-1) ?? -1) + 1
      const nowMs = clock()
      let all: Issued[] = []
      for (const name of names) {
        const file = join(folder, name)
        const own = await readLines(file)
        closed = [...closed, { file, lines: own.length, endsAtMs: endOf(own) }]
        all = all.concat(own.filter(({ expiresAtMs }) => expiresAtMs > nowMs))
      }
      await deleteEnded()
      return all.slice(-maxEntries)
    },
    add: (issued) =>
      new Promise((done) => {
        waiting.push({ issued, done })
        if (isWriting) return
        isWriting = true
        process.nextTick(writeAll) // with all that this turn adds
      }),
    close: async () => {
      clearTimeout(syncDue)
      if (current !== undefined) finish(current)
      await Promise.all(besides)
    },
  }
}

const endOf = (all: readonly Issued[]): number =>
  all.reduce((end, { expiresAtMs }) => Math.max(end, expiresAtMs), 0)

/** What stands behind the last line's end was not whole when the process ended, so nobody was given it. */
const readLines = async (file: string): Promise<readonly Issued[]> => {
  const remedy = 'move it away; then revoking a token does not end what came from it before'
  // A link could lead to a file that others can change.
  const handle = await open(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0))
  try {
    const { size } = await handle.stat()
    if (size > maxReadBytes)
      throw new Error(`${file} has more than ${maxReadBytes} bytes. Remedy: ${remedy}.`)
    const text = await handle.readFile('utf8')
    const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n')
    return lines.slice(0, -1).map((line, i) => {
      const issued = readIssuedLine(line)
      if (!issued.ok)
        throw new Error(`${file}:${i + 1} is damaged: ${issued.fault}. Remedy: ${remedy}.`)
      return issued.value
    })
  } finally {
    await handle.close()
  }
}
