import { setTimeout as sleep } from 'node:timers/promises'
import { shownAsTheyAre } from './encode.ts'
import type { Destination } from './destination.ts'

const newline = 0x0a
/** A chunk leaves when it is this large, or its first line this old. One of a quarter costs twice as much a line. */
const maxChunkBytes = 131_072
/** Room for the line that makes it so large; a longer one gets a chunk of its own. */
const lineRoomBytes = 65_536
/** Of UTF-8, for a character of UTF-16. */
const maxBytesPerChar = 3
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

type Chunk = { readonly bytes: Buffer; readonly from: Filling; offset: number }
/** What is being filled, line by line: each is brought into bytes while it is at hand, not all at the end. */
type Filling = { readonly buffer: Buffer; bytes: number; chars: number; lines: number }

/**
 * Writes lines from a buffer of bounded size, several at once. A line is written whole: after a failure what is left of
 * it is written once the destination works again, which is tried every second, or all of it if the file is another one.
 *
 * @param maxBufferedBytes Bound of what is held back.
 */
export const lineWriter = (
  destination: Destination,
  maxBufferedBytes: number,
  watch: LineWriterWatch,
): LineWriter => {
  const chunkBytes = Math.min(maxChunkBytes, maxBufferedBytes / maxChunkShare)
  const usualBytes = Math.ceil(chunkBytes) + lineRoomBytes
  let filling = newFilling(usualBytes)
  /** Full ones, the oldest first. */
  const full: Filling[] = []
  /** One that was written: so the next need not be had from the system. */
  let spare: Filling | undefined
  /** Of full ones and that which is being filled. */
  let pendingBytes = 0
  let chunk: Chunk | undefined
  let draining: Promise<void> | undefined
  let isDue = false
  let isFailing = false
  let hasComplained = false
  let isClosed = false
  let wantsReopen = false
  let checksWhileWriting = 0

  const isAnythingDue = () =>
    chunk !== undefined || isDue || full.length > 0 || filling.bytes >= chunkBytes
  const buffered = () => pendingBytes + (chunk?.bytes.length ?? 0)

  /** @param leastBytes That there must be room for. */
  const fillAnother = (leastBytes: number) => {
    filling =
      spare && leastBytes <= usualBytes ? spare : newFilling(Math.max(leastBytes, usualBytes))
    if (filling === spare) spare = undefined
  }
  const take = (): Chunk => {
    const taken = full.shift() ?? filling
    if (taken === filling) {
      isDue = false
      fillAnother(0)
    }
    pendingBytes -= taken.bytes
    const bytes = shownAsTheyAre(taken.buffer.subarray(0, taken.bytes), taken.chars)
    return { bytes, from: taken, offset: 0 }
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
    const { from } = chunk
    chunk = undefined
    watch.written(from.lines)
    if (from.buffer.length === usualBytes) spare = emptied(from)
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

  /** @param of What was begun then; it may have left since, for it was full. */
  const fallDue = (of: Filling): void => {
    if (filling !== of) return
    isDue = true
    if (!isFailing) start()
  }

  const check = setInterval(() => {
    if (isFailing) start()
    else if (draining && ++checksWhileWriting === stuckChecks) complain('a write does not end')
  }, checkEveryMs).unref()

  return {
    append: (line) => {
      if (isClosed || buffered() + line.length > maxBufferedBytes) return false
      const mayTake = line.length * maxBytesPerChar
      if (filling.bytes + mayTake > filling.buffer.length) {
        if (filling.lines > 0) full.push(filling)
        fillAnother(mayTake)
      }
      if (filling.lines === 0) setTimeout(fallDue, chunkMs, filling)
      const bytes = filling.buffer.write(line, filling.bytes)
      filling.bytes += bytes
      filling.chars += line.length
      filling.lines++
      pendingBytes += bytes
      if ((filling.bytes >= chunkBytes || full.length > 0) && !isFailing) start()
      return true
    },
    isWell: () =>
      !isFailing && checksWhileWriting < stuckChecks && buffered() <= maxBufferedBytes / 2,
    reopen: () => {
      wantsReopen = true
      start()
    },
    close: async () => {
      isClosed = true
      const end = sleep(closeWithinMs, undefined, { ref: false })
      await Promise.race([draining, end])
      isDue = filling.lines > 0
      start()
      await Promise.race([draining, end])
      clearInterval(check)
      const pendingLines = [...full, filling].reduce((sum, { lines }) => sum + lines, 0)
      const left = pendingLines + (chunk?.from.lines ?? 0)
      if (left > 0) watch.lost(left)
      await Promise.race([destination.close(), end])
    },
  }
}

const newFilling = (bytes: number): Filling => ({
  buffer: Buffer.allocUnsafeSlow(bytes),
  bytes: 0,
  chars: 0,
  lines: 0,
})
const emptied = ({ buffer }: Filling): Filling => ({ buffer, bytes: 0, chars: 0, lines: 0 })

const lineBegin = ({ bytes, offset }: Chunk): number =>
  offset === 0 ? 0 : bytes.lastIndexOf(newline, offset - 1) + 1
