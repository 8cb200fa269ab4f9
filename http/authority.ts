import { isIPv6 } from 'node:net'

/** What a Host header names. */
export type Authority = {
  /** Lower-case, without the dot that may end a name; an IPv6 address stands in brackets. */
  readonly host: string
  readonly port: number | undefined
}

/** RFC 1035 §2.3.4 allows 255; brackets and port come on top. */
const maxAuthorityBytes = 255 + '[]:65535'.length
const namePattern = /^[a-z0-9-]+(?:\.[a-z0-9-]+)*\.?$/
const portPattern = /^[1-9]\d{0,4}$/

/**
 * Reads a Host header strictly: a name, an IPv4 address or a bracketed IPv6 address, and maybe a port from 1 to 65535.
 *
 * @returns undefined for everything else: lists, user info, spaces, empty labels, zones.
 * @see RFC 9110 §7.2, RFC 3986 §3.2.2
 */
export const parseAuthority = (text: string): Authority | undefined => {
  if (text.length > maxAuthorityBytes) return undefined
  const lower = text.toLowerCase()
  return lower.startsWith('[') ? parseBracketed(lower) : parseNamed(lower)
}

/** `host` or `host:port`, as it goes into a Host header. */
export const authorityText = ({ host, port }: Authority): string =>
  port === undefined ? host : `${host}:${port}`

const parseNamed = (text: string): Authority | undefined => {
  const colon = text.indexOf(':')
  const name = colon < 0 ? text : text.slice(0, colon)
  if (!namePattern.test(name)) return undefined
  const host = name.endsWith('.') ? name.slice(0, -1) : name
  return colon < 0 ? { host, port: undefined } : withPort(host, text.slice(colon + 1))
}

const parseBracketed = (text: string): Authority | undefined => {
  const end = text.indexOf(']')
  const address = text.slice(1, end)
  if (end < 0 || address.includes('%') || !isIPv6(address)) return undefined
  const host = new URL(`http://[${address}]`).hostname // one spelling for one address
  const rest = text.slice(end + 1)
  if (rest === '') return { host, port: undefined }
  return rest.startsWith(':') ? withPort(host, rest.slice(1)) : undefined
}

const withPort = (host: string, text: string): Authority | undefined => {
  const port = portPattern.test(text) ? Number(text) : 0
  return port >= 1 && port <= 65_535 ? { host, port } : undefined
}
