import {
  close,
  constants,
  fdatasync,
  fstat,
  open,
  openSync,
  readSync,
  closeSync,
  fstatSync,
  write,
  writeSync,
} from 'node:fs'
import { promisify } from 'node:util'

const openFile = promisify(open)
const closeFile = promisify(close)
const syncFile = promisify(fdatasync)
const statFile = promisify(fstat)
const writeTo = promisify(write)

const stdoutDescriptor = 1
const mode = 0o600
// Not blocking, for a named pipe: without a reader it is an error at once, and a full one says so.
const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK
const newline = 0x0a

/** Where bytes go: a file that is appended to, or standard output. */
export type Destination = {
  readonly name: string
  /** @returns How many of them were written. */
  readonly write: (bytes: Buffer, offset: number) => Promise<number>
  /**
   * Opens the file anew, for the old one may have been moved away or be broken.
   *
   * @returns Whether it is another file than before, so that a line begun there has to begin anew.
   */
  readonly reopen: () => Promise<boolean>
  readonly close: () => Promise<void>
}

/** Written by its descriptor: `process.stdout` would block the process while a pipe is full. */
export const standardOutput: Destination = {
  name: 'stdout',
  write: async (bytes, offset) => (await writeTo(stdoutDescriptor, bytes, offset)).bytesWritten,
  reopen: async () => false,
  close: async () => {},
}

/**
 * Opens a file to append to; a new one is for its owner alone.
 *
 * @throws Error that names the file, what is wrong and the remedy.
 */
export const appendedFile = (file: string): Destination => {
  let descriptor: number
  try {
    descriptor = openSync(file, flags, mode)
    if (isTorn(file)) writeSync(descriptor, '\n')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const remedy = 'Name a file that can be written, or `stdout`, as audit.file.'
    throw new Error(`audit log ${file}: it cannot be opened (${code}). ${remedy}`, { cause })
  }
  return {
    name: file,
    write: async (bytes, offset) => (await writeTo(descriptor, bytes, offset)).bytesWritten,
    reopen: async () => {
      const old = descriptor
      descriptor = await openFile(file, flags, mode)
      const isSame = await isSameFile(old, descriptor).catch(() => false)
      await closeFile(old).catch(() => {}) // it is of no use, whatever it answers
      return !isSame
    },
    close: async () => {
      await syncFile(descriptor).catch(() => {}) // a pipe or a terminal cannot
      await closeFile(descriptor)
    },
  }
}

/** Whether the file ends within a line, as a process leaves it that was killed: the next record must not be lost to it. */
const isTorn = (file: string): boolean => {
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const status = fstatSync(descriptor)
    if (!status.isFile() || status.size === 0) return false
    const last = Buffer.alloc(1)
    readSync(descriptor, last, 0, 1, status.size - 1)
    return last[0] !== newline
  } finally {
    closeSync(descriptor)
  }
}

const isSameFile = async (one: number, other: number): Promise<boolean> => {
  const [a, b] = await Promise.all([statFile(one), statFile(other)])
  return a.dev === b.dev && a.ino === b.ino
}
