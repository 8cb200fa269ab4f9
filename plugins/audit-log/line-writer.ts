import { setTimeout as sleep } from 'node:timers/promises'
import { bytesOf } from './encode.ts'
import type { Destination } from './destination.ts'

const newline = 0x0a
/** A chunk leaves when it is this large, or its first line this old. One of a quarter costs twice as much a line. */
const maxChunkChars = 131_072
/** Of what may be held back, so that taking it out begins before it is too much. */
const maxChunkShare = 4
const chunkMs = 20
const busyRetryMs = 10
const checkEveryMs = 1000
/** A write that does not end within so many checks is stuck. */
const stuckChecks = 5
const closeWithinMs = 3000

export type LineWriter = {
  /** Takes a line with its newline; false if there is no room for it. */
  readonly append: (line: string) => boolean
  /** False while lines do not get out: the last write failed or is stuck, or half the room is taken. */
  readonly isWell: () => boolean
  /** Opens the destination anew as soon as the line under way is written. */
  readonly reopen: () => void
  /** Writes what is left, for at most three seconds. */
  readonly close: () => Promise<void>
}

export type LineWriterWatch = {
  readonly written: (lines: number) => void
  /** Given up at close. */
  readonly lost: (lines: number) => void
  readonly failed: (reason: string) => void
  readonly recovered: () => void
}

type Chunk = { readonly bytes: Buffer; readonly lines: number; offset: number }

/**
 * Writes lines from a buffer of bounded size, several at once. A line is written whole: after a failure what is left of
 * it is written once the destination works again, which is tried every second, or all of it if the file is another one.
 *
 * @param maxBufferedChars Bound of what is held back.
 */
export const lineWriter = (
  destination: Destination,
  maxBufferedChars: number,
  watch: LineWriterWatch,
): LineWriter => {
  const chunkChars = Math.min(maxChunkChars, maxBufferedChars / maxChunkShare)
  let pending = ''
  let pendingLines = 0
  let chunk: Chunk | undefined
  let draining: Promise<void> | undefined
  let isDue = false
  let isFailing = false
  let hasComplained = false
  let isClosed = false
  let wantsReopen = false
  let checksWhileWriting = 0

  const isAnythingDue = () => chunk !== undefined || isDue || pending.length >= chunkChars
  const buffered = () => pending.length + (chunk?.bytes.length ?? 0)

  const take = (): Chunk => {
    const taken = { bytes: bytesOf(pending), lines: pendingLines, offset: 0 }
    pending = ''
    pendingLines = 0
    isDue = false
    return taken
  }

  const writeChunk = async (): Promise<void> => {
    chunk ??= take()
    try {
      chunk.offset += await destination.write(chunk.bytes, chunk.offset)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EAGAIN') throw cause
      await sleep(busyRetryMs) // a pipe whose reader is slow: not a fault
      return
    }
    checksWhileWriting = 0
    if (chunk.offset < chunk.bytes.length) return
    watch.written(chunk.lines)
    chunk = undefined
  }

  const openAnew = async (): Promise<void> => {
    const isOther = await destination.reopen()
    wantsReopen = false
    if (isOther && chunk) chunk.offset = lineBegin(chunk)
  }

  const complain = (reason: string): void => {
    if (!hasComplained) watch.failed(reason)
    hasComplained = true
  }

  const drain = async (): Promise<void> => {
    try {
      if (wantsReopen) await openAnew()
      while (isAnythingDue()) {
        await writeChunk()
        if (wantsReopen) await openAnew()
      }
      isFailing = false
      if (hasComplained) watch.recovered()
      hasComplained = false
    } catch (cause) {
      isFailing = true
      wantsReopen = true // whatever it was, a new descriptor may mend it
      complain((cause as NodeJS.ErrnoException).code ?? String(cause))
    }
  }

  const start = (): void => {
    draining ??= drain().finally(() => {
      draining = undefined
      checksWhileWriting = 0
      if (isDue && !isFailing) start()
    })
  }

  const fallDue = (): void => {
    isDue = pending !== ''
    if (isDue && !isFailing) start()
  }

  const check = setInterval(() => {
    if (isFailing) start()
    else if (draining && ++checksWhileWriting === stuckChecks) complain('a write does not end')
  }, checkEveryMs).unref()

  return {
    append: (line) => {
      if (isClosed || buffered() + line.length > maxBufferedChars) return false
      if (pending === '') setTimeout(fallDue, chunkMs)
      pending += line
      pendingLines++
      if (pending.length >= chunkChars && !isFailing) start()
      return true
    },
    isWell: () =>
      !isFailing && checksWhileWriting < stuckChecks && buffered() <= maxBufferedChars / 2,
    reopen: () => {
      wantsReopen = true
      start()
    },
    close: async () => {
      isClosed = true
      const end = sleep(closeWithinMs, undefined, { ref: false })
      await Promise.race([draining, end])
      isDue = pending !== ''
      start()
      await Promise.race([draining, end])
      clearInterval(check)
      const left = pendingLines + (chunk?.lines ?? 0)
      if (left > 0) watch.lost(left)
      await Promise.race([destination.close(), end])
    },
  }
}

const lineBegin = ({ bytes, offset }: Chunk): number =>
  offset === 0 ? 0 : bytes.lastIndexOf(newline, offset - 1) + 1
