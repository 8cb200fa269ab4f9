import { contentLengthOf, isFieldValue, isToken } from '../field-rules.ts'
import { connectionOptions, isHopByHop, withoutNames } from '../hop-by-hop.ts'

/** The head of an answer, and what it says of the octets behind it. Shared between answers, so never changed. */
export type AnswerHead = {
  readonly status: number
  /** Name, value, name, value …: names lower-case, without those for the next hop. */
  readonly headers: readonly string[]
  /** -1 if it says nothing. */
  readonly contentLength: number
  readonly isChunked: boolean
  /** The connection ends with this answer. */
  readonly isLast: boolean
  /** How long the peer keeps the connection without a request, if it says so (RFC 2068 §19.7.1). */
  readonly keptMs: number
}

/** Fields that one answer may have. */
const maxFields = 500
const statusLine = /^HTTP\/1\.([01]) ([1-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?$/
const keptSeconds = /(?:^|[,\s])timeout=(\d{1,6})/i

/**
 * Reads the head of an answer, more strictly than the RFC allows where a lenient reader could see another answer's end in it:
 * no line but by CR LF, no white space before a colon, no folded line, one length, and no coding but `chunked`.
 *
 * @param text Latin1: the lines of the head, each with its CR LF, without the empty one.
 * @returns What is wrong with it, in words, if it is no head.
 * @see RFC 9112 §4, §5, §6
 */
export const parseAnswerHead = (text: string): AnswerHead | string => {
  const lines = text.split('\r\n', maxFields + 2)
  if (lines.length > maxFields + 1) return 'an answer of too many fields'
  const [, minor, code] = statusLine.exec(lines[0] ?? '') ?? []
  if (code === undefined) return 'no status line'
  const status = Number(code)
  const headers: string[] = []
  let nominated: string[] | undefined
  let contentLength = -1
  let isChunked = false
  let keptMs = Number.POSITIVE_INFINITY
  for (let i = 1; i < lines.length - 1; i++) {
    const line = lines[i] as string
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    const value = withoutBlanks(line, colon + 1)
    if (colon < 0 || !isToken(name) || !isFieldValue(value)) return 'a field that is none'
    switch (name) {
      case 'connection':
        nominated = [...(nominated ?? []), ...(connectionOptions(value) ?? [])]
        break
      case 'keep-alive':
        keptMs = Number(keptSeconds.exec(value)?.[1] ?? Number.POSITIVE_INFINITY) * 1000
        break
      case 'transfer-encoding':
        if (isChunked || value.toLowerCase() !== 'chunked') return 'a coding that we never accepted'
        isChunked = true
        break
      case 'content-length': {
        const length = contentLengthOf(value)
        if (length < 0 || contentLength >= 0)
          return 'a content-length that is none, or a second one'
        contentLength = length
        if (!hasNoBodyEver(status)) headers.push(name, value)
        break
      }
      default:
        if (!isHopByHop(name)) headers.push(name, value)
    }
  }
  const fault = framingFault(status, { minor, contentLength, isChunked })
  if (fault !== undefined) return fault
  return Object.freeze({
    status,
    headers: Object.freeze(nominated ? withoutNames(headers, nominated) : headers),
    contentLength,
    isChunked,
    isLast: minor === '0' || nominated?.includes('close') === true,
    keptMs,
  })
}

/** What could be taken for two different answers (RFC 9112 §6.1, §6.3). */
const framingFault = (
  status: number,
  {
    minor,
    contentLength,
    isChunked,
  }: { readonly minor: string | undefined } & Pick<AnswerHead, 'contentLength' | 'isChunked'>,
): string | undefined => {
  if (status === 101) return 'an upgrade that nobody asked for'
  if (isChunked && contentLength >= 0) return 'two ways to say where its body ends'
  if (isChunked && minor === '0') return 'a coding in HTTP/1.0'
  if (hasNoBodyEver(status) && (isChunked || contentLength > 0)) return `a body in a ${status}`
  return undefined
}

const hasNoBodyEver = (status: number): boolean => status === 204 || status < 200

/** Without blanks at either end. No expression: one would look at a value of blanks again and again. */
const withoutBlanks = (line: string, from: number): string => {
  let start = from
  let end = line.length
  while (start < end && isBlank(line.charCodeAt(start))) start++
  while (end > start && isBlank(line.charCodeAt(end - 1))) end--
  return line.slice(start, end)
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09
