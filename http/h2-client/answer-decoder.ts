import { recurring } from '../recurring.ts'
import { type AnswerBlock, answerBlockOf } from './answer-head.ts'
import { fieldMemo } from './field-memo.ts'
import { type BlockFault, type BlockLimits, decodeBlock } from './hpack-decode.ts'
import { latin1 } from './latin1.ts'

const maxMemoBytes = 512

/** Reads answers' field blocks. A pure function of the octets, so that one decoder may serve any number of connections. */
export type AnswerDecoder = (bytes: Buffer, start: number, end: number) => AnswerBlock | BlockFault

/**
 * A decoder that remembers whole blocks: most answers of one service begin with the same octets. Where they do not it
 * gives up for a while, and the memo of single fields carries the load.
 */
export const answerDecoder = (limits: BlockLimits): AnswerDecoder => {
  const fields = fieldMemo()
  const blocks = recurring<AnswerBlock>()

  const decode = (bytes: Buffer, start: number, end: number) =>
    answerBlockOf(decodeBlock(bytes, start, end, limits, fields))

  return (bytes, start, end) => {
    if (end - start > maxMemoBytes || blocks.rests()) return decode(bytes, start, end)
    const key = latin1(bytes, start, end)
    const before = blocks.get(key)
    if (before !== undefined) return before
    const fresh = decode(bytes, start, end)
    if (typeof fresh !== 'string') blocks.set(key, fresh)
    return fresh
  }
}
