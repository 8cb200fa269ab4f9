import { type AnswerBlock, answerBlockOf } from './answer-head.ts'
import { fieldMemo } from './field-memo.ts'
import { type BlockFault, type BlockLimits, decodeBlock } from './hpack-decode.ts'
import { latin1 } from './latin1.ts'

const maxBlocks = 256
const maxMemoBytes = 512
/** Blocks after which it is judged whether the memo pays. */
const judgedEvery = 1024
/** For how many blocks it is left out if it did not. */
const restFor = 16_384

/** Reads answers' field blocks. A pure function of the octets, so that one decoder may serve any number of connections. */
export type AnswerDecoder = (bytes: Buffer, start: number, end: number) => AnswerBlock | BlockFault

/**
 * A decoder that remembers whole blocks: most answers of one service begin with the same octets. It remembers in two
 * generations, the older one thrown away when the newer is full, so nothing is ever deleted singly. Where blocks do not
 * repeat it gives up for a while, and the memo of single fields carries the load.
 */
export const answerDecoder = (limits: BlockLimits): AnswerDecoder => {
  const fields = fieldMemo()
  let hot = new Map<string, AnswerBlock>()
  let cold = new Map<string, AnswerBlock>()
  let looked = 0
  let found = 0
  let resting = 0

  const decode = (bytes: Buffer, start: number, end: number) =>
    answerBlockOf(decodeBlock(bytes, start, end, limits, fields))

  const remember = (key: string, block: AnswerBlock) => {
    if (hot.size >= maxBlocks) {
      cold = hot
      hot = new Map()
    }
    hot.set(key, block)
  }

  const judge = () => {
    if (found < judgedEvery / 4) {
      resting = restFor
      hot = new Map()
      cold = new Map()
    }
    looked = 0
    found = 0
  }

  return (bytes, start, end) => {
    if (end - start > maxMemoBytes) return decode(bytes, start, end)
    if (resting > 0) {
      resting--
      return decode(bytes, start, end)
    }
    const key = latin1(bytes, start, end)
    let block = hot.get(key)
    if (block === undefined) {
      block = cold.get(key)
      if (block !== undefined) {
        remember(key, block)
        found++
      }
    } else found++
    if (++looked >= judgedEvery) judge()
    if (block !== undefined) return block
    const fresh = decode(bytes, start, end)
    if (typeof fresh !== 'string' && resting === 0) remember(key, fresh)
    return fresh
  }
}
