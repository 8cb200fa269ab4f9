import { constants } from 'node:fs'
import { open, rename, rm, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { QuarantineEntry } from '#contract/quarantine'
import type { Log } from '#contract/telemetry'
import { lineOf, linesOf, readLines, type QuarantineContent } from './file-lines.ts'
import type { Change } from './list.ts'

/** Keeps the entries on disk: changes are appended, one a line, and now and then all is written anew. */
export type QuarantineFile = {
  /** What was in it; undefined if there was no file. */
  readonly found: QuarantineContent | undefined
  /**
   * Writes changes down, durably. After a failure the next ones write all anew.
   *
   * @param all What there is after these changes.
   * @returns What went wrong, as a sentence.
   */
  readonly append: (
    changes: readonly Change[],
    lastChange: string,
    all: AllEntries,
  ) => Promise<string | undefined>
  readonly rewrite: (lastChange: string, all: AllEntries) => Promise<string | undefined>
  readonly close: () => Promise<void>
}

type AllEntries = {
  readonly size: () => number
  readonly entries: () => readonly QuarantineEntry[]
}

const mode = 0o600
/** So many lines that no longer count are kept before all is written anew, besides as many as there are entries. */
const maxDeadLines = 10_000

/**
 * Opens the file of a quarantine.
 *
 * @throws Error that names the file, the line and the remedy when it cannot be read or is not whole.
 */
export const quarantineFile = async (file: string, log: Log): Promise<QuarantineFile> => {
  const read = await readAll(file)
  let lines = read === undefined ? Infinity : read.lines // a file that is not there has to be written
  let isWhole = read?.isWhole ?? false
  let handle: FileHandle | undefined
  let waiting: Promise<unknown> = Promise.resolve()

  const writeAnew = async (lastChange: string, entries: readonly QuarantineEntry[]) => {
    await handle?.close()
    handle = undefined
    await replaceFile(file, linesOf(entries, lastChange))
    lines = entries.length
    isWhole = true
  }
  const writeChanges = async (changes: readonly Change[], lastChange: string) => {
    if (handle === undefined) {
      handle = await open(file, 'a', mode)
      await handle.chmod(mode) // whoever restored it may not have thought of it
    }
    await handle.writeFile(changes.map((change) => lineOf({ ...change, lastChange })).join(''))
    await handle.datasync()
    lines += changes.length
  }
  /** One after the other, so that no line lands in another. */
  const inTurn = (write: () => Promise<void>): Promise<string | undefined> => {
    const done = waiting.then(async () => {
      try {
        await write()
        return undefined
      } catch (cause) {
        isWhole = false // what was written of it is not known
        const reason = (cause as NodeJS.ErrnoException).code ?? String(cause)
        log.error({ file, reason }, 'the quarantine could not be written: it survives no restart')
        return `It could not be written to ${file} (${reason}), so it does not survive a restart.`
      }
    })
    waiting = done
    return done
  }

  return {
    found: read,
    append: (changes, lastChange, all) =>
      inTurn(async () => {
        const isCrowded = lines > 2 * all.size() + maxDeadLines
        if (isWhole && !isCrowded) await writeChanges(changes, lastChange)
        else await writeAnew(lastChange, all.entries())
      }),
    rewrite: (lastChange, all) => inTurn(() => writeAnew(lastChange, all.entries())),
    close: async () => {
      await waiting
      await handle?.close()
      handle = undefined
    },
  }
}

/** Whoever reads it, even after a power cut, finds the old content or the new one whole. */
const replaceFile = async (file: string, content: Iterable<string>): Promise<void> => {
  const folder = dirname(file)
  const temporary = join(folder, `.${basename(file)}.tmp`)
  await rm(temporary, { force: true }) // left behind by a crash
  const handle = await open(temporary, 'wx', mode)
  try {
    await handle.chmod(mode) // whatever the umask
    for (const part of content) await handle.writeFile(part)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(temporary, file)
  if (process.platform === 'win32') return // folders cannot be opened there
  const opened = await open(folder, constants.O_RDONLY)
  try {
    await opened.sync() // the rename itself is on disk only once its folder is
  } finally {
    await opened.close()
  }
}

const readAll = async (file: string): Promise<QuarantineContent | undefined> => {
  let handle: FileHandle | undefined
  try {
    handle = await open(file, 'r')
    return await readLines(file, handle.createReadStream({ encoding: 'utf8', autoClose: false }))
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    if (code === undefined) throw cause
    throw new Error(
      `quarantine.file ${file} cannot be read (${code}): give this user the right to read it, or name another file`,
      { cause },
    )
  } finally {
    await handle?.close()
  }
}
