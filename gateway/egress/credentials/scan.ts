import { formsOf } from './forms.ts'

/** Looks for what must not come back in one answer. */
export type AnswerScan = {
  /** Whether it stands in the head. */
  readonly isInHead: (rawHeaders: readonly string[]) => boolean
  /**
   * Takes a part of the body; gives what may go on by now. What could be the beginning of it is held until more is known,
   * so that nothing of it gets through where it comes in parts.
   *
   * @returns undefined if it is there.
   */
  readonly push: (chunk: Buffer) => Buffer | undefined
  /** What was held, once all is here. */
  readonly rest: () => Buffer
}

const nothing = Buffer.alloc(0)

/** What is looked for, in every form of these values. */
export const needlesOf = (values: readonly string[]): readonly Buffer[] =>
  [...new Set(values.flatMap(formsOf))].map((text) => Buffer.from(text, 'latin1'))

/**
 * @param maxBytes Of the body; more goes through unseen.
 * @param isLive Whether somebody may wait for each part before saying more, as with streams of events, gRPC and WebSockets.
 *   Then no more is held than what can hardly be there by chance: at least half of it, or 16 bytes.
 */
export const answerScan = (
  needles: readonly Buffer[],
  maxBytes: number,
  isLive = false,
): AnswerScan => {
  /** What could be the beginning of a needle, and how much of that has not gone on. */
  let tail: Buffer = nothing
  let heldBytes = 0
  let seenBytes = 0
  const isIn = (bytes: Buffer) => needles.some((needle) => bytes.includes(needle))
  const isTelling = (bytes: number, { length }: Buffer) =>
    bytes >= Math.min(tellingBytes, Math.ceil(length / 2))

  return {
    isInHead: (rawHeaders) => isIn(Buffer.from(rawHeaders.join('\n'), 'latin1')),
    push: (chunk) => {
      if (seenBytes >= maxBytes) return chunk
      seenBytes += chunk.length
      const all = tail.length > 0 ? Buffer.concat([tail, chunk]) : chunk
      if (isIn(all)) return undefined
      const goneBytes = tail.length - heldBytes
      let [tailBytes, telling] = [0, 0]
      if (seenBytes < maxBytes)
        for (const needle of needles) {
          const bytes = beginningAtEnd(all, needle)
          tailBytes = Math.max(tailBytes, bytes)
          if (!isLive || isTelling(bytes, needle)) telling = Math.max(telling, bytes)
        }
      tail = all.subarray(all.length - tailBytes)
      heldBytes = Math.min(telling, all.length - goneBytes)
      return all.subarray(goneBytes, all.length - heldBytes)
    },
    rest: () => tail.subarray(tail.length - heldBytes),
  }
}

const tellingBytes = 16

/** How many bytes at the end are the beginning of a needle. */
const beginningAtEnd = (bytes: Buffer, needle: Buffer): number => {
  const first = needle[0] ?? 0
  let at = Math.max(0, bytes.length - needle.length + 1)
  for (; (at = bytes.indexOf(first, at)) >= 0; at += 1)
    if (bytes.compare(needle, 0, bytes.length - at, at) === 0) return bytes.length - at
  return 0
}
