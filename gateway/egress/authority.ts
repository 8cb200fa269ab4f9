import { addressBytes, addressText, looseIpv4Bytes } from '#contract/ip-address'
import { pass, refuse, type Refusal, type Result } from '#contract/problem'

/** The one place that a request names. Policy, dialling, the server name and the Host header all go by this. */
export type Authority = {
  /** Lower-case name without a dot at its end, or an address in its one spelling, IPv6 without brackets. */
  readonly host: string
  readonly isAddress: boolean
  readonly port: number
}

const maxHostChars = 253
/** Underscores are no letters of host names, but names with them are in use. */
const namePattern =
  /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/
const portPattern = /^[1-9]\d{0,4}$/
/** What URL parsers take for the last part of an address (WHATWG URL §3.5). */
const numericLabel = /^(?:\d+|0x[0-9a-f]*)$/

/**
 * Reads `host:port` so that it can mean one place only.
 *
 * @param defaultPort For a text without port; undefined: there must be one.
 * @returns Refuses with `authority-invalid`, and says why: user info, paths, zones, ports that are none, other letters
 *   than those of ASCII, empty labels, and every spelling of an address but its own.
 * @see RFC 9110 §7.1 and §9.3.6, RFC 3986 §3.2
 */
export const parseAuthority = (text: string, defaultPort?: number): Result<Authority> => {
  if (text.length > maxHostChars + '.:65535'.length) return invalid('it is too long')
  // Node hands on bytes as latin1. One letter must not be two for a certificate and a resolver (CVE-2026-48618).
  if (!/^[\x21-\x7e]*$/.test(text)) return invalid('it is not plain ASCII; use the xn-- form')
  if (text.includes('@')) return invalid('it holds user information')
  if (/[/?#\\]/.test(text)) return invalid('it holds more than host and port')
  if (text.includes('%')) return invalid('it holds a zone or an escape')
  const lower = text.toLowerCase()
  return lower.startsWith('[') ? bracketed(lower, defaultPort) : named(lower, defaultPort)
}

/** As it goes into a Host header; the port stays away where it is the usual one. */
export const hostHeader = ({ host, port }: Authority, usualPort: number): string => {
  const place = host.includes(':') ? `[${host}]` : host
  return port === usualPort ? place : `${place}:${port}`
}

export const isSamePlace = (a: Authority, b: Authority): boolean =>
  a.host === b.host && a.port === b.port

const bracketed = (text: string, defaultPort: number | undefined): Result<Authority> => {
  const end = text.indexOf(']')
  const bytes = end < 0 ? undefined : addressBytes(text.slice(1, end))
  if (bytes?.length !== 16) return invalid('in brackets stands an IPv6 address and nothing else')
  return withPort(addressText(bytes), true, text.slice(end + 1), defaultPort)
}

const named = (text: string, defaultPort: number | undefined): Result<Authority> => {
  const colon = text.indexOf(':')
  const name = colon < 0 ? text : text.slice(0, colon)
  const host = name.endsWith('.') ? name.slice(0, -1) : name
  if (text.indexOf(':', colon + 1) > colon && colon >= 0)
    return invalid('it holds too many colons; an IPv6 address stands in brackets')
  if (numericLabel.test(host.slice(host.lastIndexOf('.') + 1))) {
    if (addressBytes(name) === undefined) return otherSpelling(name)
    return withPort(name, true, text.slice(name.length), defaultPort)
  }
  if (host.length > maxHostChars || !namePattern.test(host)) return invalid('it names no host')
  return withPort(host, false, text.slice(name.length), defaultPort)
}

const withPort = (
  host: string,
  isAddress: boolean,
  rest: string,
  defaultPort: number | undefined,
): Result<Authority> => {
  if (rest === '')
    return defaultPort === undefined
      ? invalid('it names no port')
      : pass({ host, isAddress, port: defaultPort })
  const port = rest.startsWith(':') && portPattern.test(rest.slice(1)) ? Number(rest.slice(1)) : 0
  return port >= 1 && port <= 65_535
    ? pass({ host, isAddress, port })
    : invalid('its port is not a number from 1 to 65535 without leading zeros')
}

const otherSpelling = (text: string): Refusal => {
  const bytes = looseIpv4Bytes(text)
  return bytes === undefined
    ? invalid('it ends in a number and is no address')
    : invalid(`some would take it for ${addressText(bytes)}; write an address as that`)
}

const invalid = (why: string): Refusal =>
  refuse('authority-invalid', { detail: `Not one host and port: ${why}.` })
