import { isFieldValue, isToken } from '../field-rules.ts'
import { latin1 } from '../h2-client/latin1.ts'
import type { AnswerHead } from './answer-head.ts'

/** Told of one answer. What a function does may stop the reader. */
export type AnswerSink = {
  /** A 1xx, any number of times, then the head. */
  readonly head: (head: AnswerHead) => void
  /** @param last No more of the body and no trailers will come. */
  readonly data: (chunk: Buffer, last: boolean) => void
  /** @param isClean Nothing had come behind it by then. */
  readonly end: (isClean: boolean) => void
  /** Whether more of the body may be handed on now. */
  readonly wantsMore: () => boolean
}

export type AnswerReader = {
  /** A request was written, so an answer may come. */
  readonly expect: (method: string) => void
  /**
   * Takes what arrived; `bytes` may be overwritten afterwards. With none it goes on with what it holds.
   *
   * @returns What is wrong with it, in words: nothing can be read after that.
   */
  readonly read: (bytes: Buffer) => string | undefined
  /** The connection has ended. False if it did so in the middle of an answer, or before one. */
  readonly finish: () => boolean
  /** Nothing more is told to anybody. */
  readonly stop: () => void
}

const maxHeadBytes = 65_536
/** With extensions, which mean nothing to us (RFC 9112 §7.1.1). */
const maxChunkLineBytes = 1024
const maxTrailerBytes = 16_384
const maxInformational = 8

/**
 * Where it stands: before a request (`idle`), in a head, in a body that is as long as it says (`length`), as long as the
 * connection (`until-close`), or in chunks: before a size, in a chunk, behind one, in the trailers. `whole`: all is here, and
 * nobody was told.
 */
type Phase =
  | 'idle'
  | 'head'
  | 'length'
  | 'until-close'
  | 'chunk-size'
  | 'chunk'
  | 'chunk-end'
  | 'trailers'
  | 'whole'
  | 'stopped'

const headEnd = Buffer.from('\r\n\r\n')
const lineEnd = Buffer.from('\r\n')
const nothing = Buffer.alloc(0)
const chunkLine = /^([0-9a-fA-F]{1,12})(?:[\t ]*;[\t\x20-\x7e\x80-\xff]*)?$/

/**
 * Cuts what comes on one connection into answers, one at a time. It holds a line or head that is not whole, and what comes
 * while nobody wants more: the socket is paused then.
 *
 * @see RFC 9112 §6, §7
 */
export const answerReader = (
  sink: AnswerSink,
  parseHead: (text: string) => AnswerHead | string,
): AnswerReader => {
  let phase = 'idle' as Phase
  let held = nothing
  let method = ''
  /** Of the body, or of the chunk. */
  let leftBytes = 0
  let trailerBytes = 0
  let informational = 0

  const afterHead = ({ status, isChunked, contentLength }: AnswerHead): Phase => {
    if (method === 'HEAD' || status === 204 || status === 304) return 'whole'
    if (isChunked) return 'chunk-size'
    if (contentLength < 0) return 'until-close'
    leftBytes = contentLength
    return contentLength > 0 ? 'length' : 'whole'
  }

  const takeHead = (text: string): string | undefined => {
    const head = parseHead(text)
    if (typeof head === 'string') return head
    if (head.status < 200) {
      if (++informational > maxInformational) return 'too many 1xx answers'
      sink.head(head)
      return undefined
    }
    const next = afterHead(head)
    sink.head(head)
    if (phase !== 'stopped') phase = next
    return undefined
  }

  /** Hands on what there is of the body; gives how far it came. */
  const takeBody = (bytes: Buffer, at: number): number => {
    const size =
      phase === 'until-close' ? bytes.length - at : Math.min(leftBytes, bytes.length - at)
    if (size === 0) return at
    const chunk = Buffer.allocUnsafe(size)
    bytes.copy(chunk, 0, at, at + size)
    const isInChunks = phase === 'chunk'
    if (phase !== 'until-close') {
      leftBytes -= size
      if (leftBytes === 0) phase = isInChunks ? 'chunk-end' : 'whole'
    }
    sink.data(chunk, phase === 'whole')
    return at + size
  }

  const takeChunkLine = (line: string): string | undefined => {
    const [, size] = chunkLine.exec(line) ?? []
    if (size === undefined) return 'a chunk without a size'
    leftBytes = Number.parseInt(size, 16)
    trailerBytes = 0
    phase = leftBytes === 0 ? 'trailers' : 'chunk'
    return undefined
  }

  /** Trailers are dropped: callers of HTTP/1.1 were not told to expect any. */
  const takeTrailer = (line: string): string | undefined => {
    trailerBytes += line.length + lineEnd.length
    if (trailerBytes > maxTrailerBytes) return 'trailers that do not end'
    if (line === '') phase = 'whole'
    else if (!isField(line)) return 'a trailer that is no field'
    return undefined
  }

  /** A line up to its CR LF: where it ends, -1 if it has not arrived, or what is wrong. */
  const endOf = (bytes: Buffer, at: number, mark: Buffer, max: number, what: string) => {
    const end = bytes.indexOf(mark, at)
    return (end < 0 ? bytes.length : end) - at > max ? `${what} that does not end` : end
  }

  const read = (arrived: Buffer): string | undefined => {
    const bytes = held.length === 0 ? arrived : Buffer.concat([held, arrived])
    held = nothing
    if (phase === 'idle') return bytes.length > 0 ? 'an answer to nothing' : undefined
    let at = 0
    let fault: string | undefined
    let isWaiting = false
    while (!isWaiting && fault === undefined) {
      switch (phase) {
        case 'head': {
          const end = endOf(bytes, at, headEnd, maxHeadBytes, 'a head')
          if (typeof end === 'string') fault = end
          else if (end < 0) isWaiting = true
          else {
            const text = latin1(bytes, at, end + lineEnd.length)
            at = end + headEnd.length
            fault = takeHead(text)
          }
          break
        }
        case 'chunk-size':
        case 'trailers': {
          const [max, what] =
            phase === 'trailers'
              ? [maxTrailerBytes, 'a trailer']
              : [maxChunkLineBytes, 'a chunk size']
          const end = endOf(bytes, at, lineEnd, max, what)
          if (typeof end === 'string') fault = end
          else if (end < 0) isWaiting = true
          else {
            const line = latin1(bytes, at, end)
            at = end + lineEnd.length
            fault = phase === 'trailers' ? takeTrailer(line) : takeChunkLine(line)
          }
          break
        }
        case 'length':
        case 'until-close':
        case 'chunk':
          isWaiting = at === bytes.length || !sink.wantsMore()
          if (!isWaiting) at = takeBody(bytes, at)
          break
        case 'chunk-end':
          isWaiting = bytes.length - at < lineEnd.length
          if (isWaiting) break
          if (bytes[at] !== lineEnd[0] || bytes[at + 1] !== lineEnd[1])
            fault = 'a chunk without end'
          at += lineEnd.length
          phase = 'chunk-size'
          break
        case 'whole':
          isWaiting = !sink.wantsMore()
          if (isWaiting) break
          phase = 'idle'
          sink.end(at === bytes.length)
          return undefined
        case 'stopped':
          return undefined
        default:
          return phase satisfies never
      }
    }
    if (fault === undefined && at < bytes.length) held = Buffer.from(bytes.subarray(at))
    return fault
  }

  return {
    expect: (asked) => {
      phase = 'head'
      method = asked
      informational = 0
    },
    read,
    finish: () => {
      if (phase !== 'until-close' || held.length > 0) return false
      phase = 'stopped'
      sink.end(false)
      return true
    },
    stop: () => {
      phase = 'stopped'
      held = nothing
    },
  }
}

const isField = (line: string): boolean => {
  const colon = line.indexOf(':')
  return (
    colon > 0 &&
    isToken(line.slice(0, colon).toLowerCase()) &&
    isFieldValue(line.slice(colon + 1).trim())
  )
}
