import { isGrpcType } from '#contract/grpc'
import type { RawHead } from '../raw-gate.ts'

/** A body whose length nobody has announced, said as HTTP/1.1 says it. */
const unknownLength = ['transfer-encoding', 'chunked'] as const

/**
 * Says a head of HTTP/2 as one of HTTP/1.1 would be said, so that one gate judges both. What cannot be true of a request
 * that we serve becomes something that the gate refuses: two hosts, a target that is no path.
 *
 * @param raw As nghttp2 delivers it, pseudo-headers first; it has refused by itself what RFC 9113 §8.2 and §8.3 forbid.
 * @param hasBody The HEADERS frame was not the last of its stream.
 */
export const requestHead = (raw: readonly string[], hasBody: boolean): RawHead => {
  let method: string | undefined
  let scheme: string | undefined
  let authority: string | undefined
  let path: string | undefined
  let cookie: string | undefined
  let isLengthKnown = false
  let isForeign = false
  let isGrpc = false
  let acceptsTrailers = false
  const rawHeaders: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string
    const value = raw[i + 1] as string
    switch (name) {
      case ':method':
        method = value
        break
      case ':scheme':
        scheme = value
        break
      case ':authority':
        authority = value
        break
      case ':path':
        path = value
        break
      case 'host': // the same host twice is one (RFC 9113 §8.3.1); another one is a second one
        if (value.toLowerCase() !== authority?.toLowerCase()) rawHeaders.push(name, value)
        break
      case 'cookie': // may come in pieces (§8.2.3)
        cookie = cookie === undefined ? value : `${cookie}; ${value}`
        break
      case 'content-length':
        isLengthKnown = true
        rawHeaders.push(name, value)
        break
      case 'te': // nghttp2 lets no other value in (§8.2.2)
        acceptsTrailers = value === 'trailers'
        break
      case 'content-type':
        isGrpc = isGrpcType(value)
        rawHeaders.push(name, value)
        break
      default:
        // A pseudo-header of an extension, of which we offer none.
        if (name.startsWith(':')) isForeign = true
        else rawHeaders.push(name, value)
    }
  }
  if (cookie !== undefined) rawHeaders.push('cookie', cookie)
  if (hasBody && !isLengthKnown) rawHeaders.push(...unknownLength)
  if (authority !== undefined) rawHeaders.unshift('host', authority)
  return {
    method,
    url: scheme === 'https' && !isForeign ? path : `${scheme}://${authority}${path}`,
    httpVersion: '2',
    rawHeaders,
    isGrpc,
    // gRPC cannot do without, whether it says so or not.
    acceptsTrailers: acceptsTrailers || isGrpc,
  }
}
