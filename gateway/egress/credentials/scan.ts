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

/** @param maxBytes Of the body; more goes through unseen. */
export const answerScan = (needles: readonly Buffer[], maxBytes: number): AnswerScan => {
  let held: Buffer = nothing
  let seenBytes = 0
  const isIn = (bytes: Buffer) => needles.some((needle) => bytes.includes(needle))

  return {
    isInHead: (rawHeaders) => isIn(Buffer.from(rawHeaders.join('\n'), 'latin1')),
    push: (chunk) => {
      if (seenBytes >= maxBytes) return chunk
      seenBytes += chunk.length
      const all = held.length > 0 ? Buffer.concat([held, chunk]) : chunk
      if (isIn(all)) return undefined
      const heldBytes = seenBytes >= maxBytes ? 0 : longestBeginning(all, needles)
      held = all.subarray(all.length - heldBytes)
      return all.subarray(0, all.length - heldBytes)
    },
    rest: () => held,
  }
}

/** How many bytes at the end could be the beginning of a needle. */
const longestBeginning = (bytes: Buffer, needles: readonly Buffer[]): number =>
  Math.max(0, ...needles.map((needle) => beginningAtEnd(bytes, needle)))

const beginningAtEnd = (bytes: Buffer, needle: Buffer): number => {
  const first = needle[0] ?? 0
  let at = Math.max(0, bytes.length - needle.length + 1)
  for (; (at = bytes.indexOf(first, at)) >= 0; at += 1)
    if (bytes.compare(needle, 0, bytes.length - at, at) === 0) return bytes.length - at
  return 0
}
