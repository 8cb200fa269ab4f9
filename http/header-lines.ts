import { inOnePiece } from '#contract/in-one-piece'
import { isFieldName, isFieldValue } from './field-rules.ts'

/** Headers as HTTP/1.1 writes them, each line with its CRLF. */
export type HeaderLines = { readonly text: string; readonly hasDate: boolean }

/**
 * @returns undefined where headers cannot be written as they are: what is malformed, and what speaks of the body's framing
 *   other than by its length, which is left out.
 */
export const headerLines = (headers: readonly string[]): HeaderLines | undefined => {
  let text = ''
  let hasDate = false
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] as string
    const value = headers[at + 1] as string
    if (name === 'content-length') continue
    if (name === 'trailer' || !isFieldName(name) || !isFieldValue(value)) return undefined
    if (name === 'date') hasDate = true
    text += `${name}: ${value}\r\n`
  }
  return { text: inOnePiece(text, 'latin1'), hasDate }
}

/** The same of headers that are known to be well-formed, as they are. */
export const writtenLines = (headers: readonly string[]): string => {
  let lines = ''
  for (let at = 0; at + 1 < headers.length; at += 2)
    lines += `${headers[at]}: ${headers[at + 1]}\r\n`
  return lines
}

/** A Date header for an answer that has none, written once a second (RFC 9110 §6.6.1). */
export const dateLines = (): ((nowMs: number) => string) => {
  let second = Number.NaN
  let line = ''
  return (nowMs) => {
    const now = Math.floor(nowMs / 1000)
    if (now !== second) {
      second = now
      line = `Date: ${new Date(nowMs).toUTCString()}\r\n`
    }
    return line
  }
}
