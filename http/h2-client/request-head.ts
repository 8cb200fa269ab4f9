import { inOnePiece } from '#contract/in-one-piece'
import { oncePer } from '#contract/once-per'
import { remembering } from '../remembering.ts'
import type { UpstreamRequest } from '../upstream-client.ts'
import { contentLengthOf, isFieldName, isFieldValue } from '../field-rules.ts'
import { encodeIndexed, encodeLiteralName, encodeShortest, encodeString } from './hpack-encode.ts'

export type RequestHead = {
  /** The field block, as latin1. */
  readonly block: string
  /** What Content-Length promises; -1 if it does not stand there. */
  readonly contentLength: number
}

/** Encodes the head of a request. Throws a TypeError for what no request may have: that is a bug of whoever made it. */
export type RequestEncoder = (request: UpstreamRequest) => RequestHead

const methodPattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const pathPattern = /^[\x21-\x7e\x80-\xff]+$/
const authorityPattern = /^[A-Za-z0-9._:[\]%-]+$/

const methodGet = encodeIndexed(2)
const methodPost = encodeIndexed(3)
const schemes = { http: encodeIndexed(6), https: encodeIndexed(7) } as const
const authorityName = encodeLiteralName(':authority')
const methodName = encodeLiteralName(':method')
const pathName = encodeLiteralName(':path')

const refused = (what: string, text: string) =>
  new TypeError(`${what} cannot be sent: ${JSON.stringify(text.slice(0, 100))}`)

const encodeMethod = (method: string): string => {
  if (method === 'GET') return methodGet
  if (method === 'POST') return methodPost
  if (!methodPattern.test(method) || method === 'CONNECT') throw refused('this method', method)
  return methodName + encodeString(method)
}

const encodeAuthority = (authority: string): string => {
  if (!authorityPattern.test(authority)) throw refused('this authority', authority)
  return inOnePiece(authorityName + encodeShortest(authority), 'latin1')
}

const encodeName = (name: string): string => {
  if (!isFieldName(name) || name === 'host') throw refused('a field of this name', name)
  return inOnePiece(encodeLiteralName(name), 'latin1')
}

/**
 * An encoder that remembers names and authorities.
 *
 * @see RFC 9113 §8.3.1
 */
export const requestEncoder = (scheme: keyof typeof schemes): RequestEncoder => {
  const nameOf = remembering(encodeName)
  const authorityOf = remembering(encodeAuthority)
  const encodedScheme = schemes[scheme]

  const fieldOf = (name: string, value: string): string => {
    if (!isFieldValue(value)) throw new TypeError(`the value of ${name} cannot be sent`)
    if (name === 'te' && value !== 'trailers') throw refused('this te', value)
    return nameOf(name) + encodeString(value)
  }
  const sharedOf = oncePer((headers: readonly string[]): string => {
    if (headers.includes('content-length')) throw new TypeError('content-length is shared')
    let block = ''
    for (let at = 0; at < headers.length; at += 2)
      block += fieldOf(headers[at] as string, headers[at + 1] as string)
    return inOnePiece(block, 'latin1')
  })

  return ({ method, path, authority, headers, sharedHeaders, body }) => {
    if (!pathPattern.test(path)) throw refused('this path', path)
    let block =
      encodeMethod(method) + encodedScheme + pathName + encodeString(path) + authorityOf(authority)
    let contentLength = -1
    for (let at = 0; at < headers.length; at += 2) {
      const name = headers[at] as string
      const value = headers[at + 1] as string
      if (name === 'content-length') {
        if (contentLength >= 0) throw new TypeError('content-length stands there twice')
        contentLength = contentLengthOf(value)
        if (contentLength < 0) throw refused('this content-length', value)
      }
      block += fieldOf(name, value)
    }
    if (sharedHeaders) for (const shared of sharedHeaders) block += sharedOf(shared)
    const bodyBytes = body === null ? 0 : Buffer.isBuffer(body) ? body.length : -1
    if (contentLength >= 0 && bodyBytes >= 0 && bodyBytes !== contentLength)
      throw new TypeError(`content-length says ${contentLength}, the body has ${bodyBytes} octets`)
    return { block, contentLength }
  }
}
