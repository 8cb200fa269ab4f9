import { inOnePiece } from '#contract/in-one-piece'
import { oncePer } from '#contract/once-per'
import { contentLengthOf, isFieldName, isFieldValue } from '../field-rules.ts'
import { remembering } from '../remembering.ts'
import type { UpstreamRequest } from '../upstream-client.ts'

export type RequestHead = {
  /** As latin1, to its empty line. */
  readonly text: string
  /** Of a stream's body, -1 if it goes out in chunks. */
  readonly bodyBytes: number
}

const methodPattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const pathPattern = /^[\x21-\x7e\x80-\xff]+$/
const authorityPattern = /^[A-Za-z0-9._:[\]%-]+$/
/** Of these a server may expect a body, so it is told that there is none (RFC 9110 §8.6). */
const expectsBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH'])

const refused = (what: string, text: string) =>
  new TypeError(`${what} cannot be sent: ${JSON.stringify(text.slice(0, 100))}`)

const encodeName = (name: string): string => {
  if (!isFieldName(name) || name === 'host' || name === 'expect')
    throw refused('a field of this name', name)
  return `${name}: `
}

/**
 * Makes the writer of requests' heads, which remembers names. It throws a TypeError for what no request may have: that is a
 * bug of whoever made it. `te` is hop-by-hop here and left out; it may stand in a request for the sake of HTTP/2.
 *
 * @see RFC 9112 §3
 */
export const requestWriter = (): ((request: UpstreamRequest) => RequestHead) => {
  const nameOf = remembering(encodeName)

  const fieldOf = (name: string, value: string): string => {
    if (name === 'te') return ''
    if (!isFieldValue(value)) throw new TypeError(`the value of ${name} cannot be sent`)
    return `${nameOf(name)}${value}\r\n`
  }
  const sharedOf = oncePer((headers: readonly string[]): string => {
    if (headers.includes('content-length')) throw new TypeError('content-length is shared')
    let text = ''
    for (let at = 0; at < headers.length; at += 2)
      text += fieldOf(headers[at] as string, headers[at + 1] as string)
    return inOnePiece(text, 'latin1')
  })

  return ({ method, path, authority, headers, sharedHeaders, body }) => {
    if (!methodPattern.test(method) || method === 'CONNECT') throw refused('this method', method)
    if (!pathPattern.test(path)) throw refused('this path', path)
    if (!authorityPattern.test(authority)) throw refused('this authority', authority)
    let text = `${method} ${path} HTTP/1.1\r\nhost: ${authority}\r\n`
    let declared = -1
    for (let at = 0; at < headers.length; at += 2) {
      const name = headers[at] as string
      const value = headers[at + 1] as string
      if (name === 'content-length') {
        if (declared >= 0) throw new TypeError('content-length stands there twice')
        declared = contentLengthOf(value)
        if (declared < 0) throw refused('this content-length', value)
      }
      text += fieldOf(name, value)
    }
    if (sharedHeaders) for (const shared of sharedHeaders) text += sharedOf(shared)
    if (body !== null && !Buffer.isBuffer(body))
      return declared < 0
        ? { text: `${text}transfer-encoding: chunked\r\n\r\n`, bodyBytes: -1 }
        : { text: `${text}\r\n`, bodyBytes: declared }
    const bodyBytes = body === null ? 0 : body.length
    if (declared >= 0 && declared !== bodyBytes)
      throw new TypeError(`content-length says ${declared}, the body has ${bodyBytes} octets`)
    if (declared < 0 && (bodyBytes > 0 || expectsBody.has(method)))
      text += `content-length: ${bodyBytes}\r\n`
    return { text: `${text}\r\n`, bodyBytes }
  }
}
