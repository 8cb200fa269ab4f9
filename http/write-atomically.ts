import { constants } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/**
 * Writes a file so that whoever reads it, even after a power cut, finds the old content or the new one whole.
 *
 * @param mode Set before the first byte is written, whatever the umask.
 */
export const writeAtomically = async (
  file: string,
  content: string,
  mode: number,
): Promise<void> => {
  const folder = dirname(file)
  const temporary = join(folder, `.${basename(file)}.tmp`)
  await rm(temporary, { force: true }) // left behind by a crash
  const handle = await open(temporary, 'wx', mode)
  try {
    await handle.chmod(mode)
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(temporary, file)
  await syncFolder(folder)
}

/** The rename itself is on disk only once its folder is. */
export const syncFolder = async (folder: string): Promise<void> => {
  if (process.platform === 'win32') return // folders cannot be opened there
  const handle = await open(folder, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
