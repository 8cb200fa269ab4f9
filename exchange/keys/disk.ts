import { constants } from 'node:fs'
import { mkdir, open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { KeyStore } from './key-store.ts'
import { decodeKeys, encodeKeys } from './stored-keys.ts'
import { writeAtomically } from '#http/write-atomically'

const maxFileBytes = 1024 * 1024
const fileName = 'keys.json'
const beginAnew = 'restore it from a backup; to begin anew with other keys, move it away'

/**
 * Keys in one file of a folder: folder mode 700, file mode 600, replaced as a whole.
 *
 * `load` and `save` throw, naming file and remedy: for a folder or file that others may read or that is not ours, for a
 * file that cannot be understood or whose keys do not fit together, and where another process has written meanwhile.
 */
export const diskKeyStore = (directory: string): KeyStore => {
  const file = join(directory, fileName)
  /** What we read or wrote last. Two exchanges on one folder would hand out one sequence twice. */
  let known: string | undefined

  const unchanged = async () => {
    if ((await readPrivately(file)) !== known)
      throw new Error(
        `${file} was changed by another process. Each exchange needs a directory of its own: stop one of them.`,
      )
  }

  return {
    load: async () => {
      await preparePrivateFolder(directory)
      const text = await readPrivately(file)
      known = text
      if (text === undefined) return undefined
      try {
        return decodeKeys(text)
      } catch (cause) {
        throw new Error(`${file} is corrupt: ${messageOf(cause)}. Remedy: ${beginAnew}.`, { cause })
      }
    },
    save: async (state) => {
      await unchanged()
      const text = encodeKeys(state)
      await writeAtomically(file, text, 0o600)
      known = text
    },
  }
}

const preparePrivateFolder = async (directory: string) => {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const found = await stat(directory)
  if (!found.isDirectory()) throw new Error(`${directory} is not a directory`)
  mustBePrivate(directory, found, '700')
}

const readPrivately = async (file: string): Promise<string | undefined> => {
  const handle = await openIfThere(file)
  if (handle === undefined) return undefined
  try {
    const found = await handle.stat()
    if (!found.isFile()) throw new Error(`${file} is not a file`)
    mustBePrivate(file, found, '600')
    if (found.size > maxFileBytes)
      throw new Error(
        `${file} is corrupt: it has more than ${maxFileBytes} bytes. Remedy: ${beginAnew}.`,
      )
    return await handle.readFile('utf8')
  } finally {
    await handle.close()
  }
}

const openIfThere = async (file: string) => {
  try {
    // A link could lead to a file that others can change.
    return await open(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0))
  } catch (cause) {
    const code = codeOf(cause)
    if (code === 'ENOENT') return undefined
    if (code === 'ELOOP')
      throw new Error(`${file} is a link. Remedy: put the file itself there.`, { cause })
    throw cause
  }
}

const mustBePrivate = (path: string, found: { mode: number; uid: number }, mode: string) => {
  if (process.platform === 'win32') return // no such mode there
  if ((found.mode & 0o077) !== 0)
    throw new Error(
      `${path} may be used by others (mode ${(found.mode & 0o777).toString(8)}). Remedy: chmod ${mode} ${path}; if anyone could have read it, begin anew with other keys.`,
    )
  const ourselves = process.getuid?.()
  if (ourselves !== undefined && found.uid !== ourselves)
    throw new Error(
      `${path} belongs to user ${found.uid} and we are ${ourselves}. Remedy: chown ${ourselves} ${path}`,
    )
}

const codeOf = (cause: unknown) =>
  cause instanceof Error && 'code' in cause ? cause.code : undefined
const messageOf = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))
