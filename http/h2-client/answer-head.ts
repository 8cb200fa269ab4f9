import { contentLengthOf } from '../field-rules.ts'
import type { BlockFault, DecodedBlock } from './hpack-decode.ts'

/** A field block of an answer: a head, or trailers. */
export type AnswerBlock = {
  /** 0 if these are trailers. */
  readonly status: number
  /** Name, value, name, value …, without pseudo-header fields; shared, so never changed. */
  readonly headers: readonly string[]
  /** Octets that Content-Length promises; -1 if it does not stand there. */
  readonly contentLength: number
}

/**
 * Turns decoded fields into an answer's head or trailers.
 *
 * @returns `malformed` unless `:status` is three digits, comes once, first and alone of its kind, and Content-Length is
 *   a number that does not contradict itself or the status.
 * @see RFC 9113 §8.3.2, §8.1.1; RFC 9110 §8.6
 */
export const answerBlockOf = (decoded: DecodedBlock): AnswerBlock | BlockFault => {
  if (typeof decoded === 'string') return decoded
  const isHead = decoded[0] === ':status'
  const status = isHead ? statusOf(decoded[1] ?? '') : 0
  if (status < 0) return 'malformed'
  const headers: string[] = []
  let contentLength = -1
  for (let at = isHead ? 2 : 0; at < decoded.length; at += 2) {
    const name = decoded[at] as string
    const value = decoded[at + 1] as string
    if (name.charCodeAt(0) === colon) return 'malformed'
    // TE says what a request accepts; in an answer it would be ours to drop, and nobody sends it.
    if (name === 'te') return 'malformed'
    if (name === 'content-length') {
      const length = contentLengthOf(value)
      if (length < 0 || !isHead) return 'malformed'
      if (contentLength >= 0) return 'malformed'
      contentLength = length
      // A 1xx or 204 answer has none (RFC 9110 §8.6). Handed on, it would make the caller wait for a body.
      if (status === 204 || status < 200) {
        if (length > 0) return 'malformed'
        continue
      }
    }
    headers.push(name, value)
  }
  return Object.freeze({ status, headers: Object.freeze(headers), contentLength })
}

const colon = 0x3a
const threeDigits = /^[1-5][0-9][0-9]$/
/** -1 if it is none. 101 has no meaning in HTTP/2 (RFC 9113 §8.6). */
const statusOf = (text: string): number =>
  threeDigits.test(text) && text !== '101' ? Number(text) : -1
