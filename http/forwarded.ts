import { isIP } from 'node:net'
import { oncePer } from '#contract/once-per'
import { pass, refuse, type Result } from '#contract/problem'
import type { RequestHead } from '#contract/request-head'
import { authorityText, parseAuthority } from './authority.ts'
import { canonicalAddress, type Networks } from './networks.ts'
import type { Peer } from './peer.ts'

/** The networks of our load balancers: what they say of a caller is believed, by address and never by counting hops. */
export type TrustedProxies = Networks

/** Where a request comes from, and how we tell it to the service. */
export type Origin = {
  /** Of the caller: the last one in the chain that is not a trusted proxy. */
  readonly address: string
  /** Value for X-Forwarded-For: the caller and the trusted proxies that it came through. */
  readonly forwardedFor: string
  readonly forwardedProto: 'http' | 'https'
  readonly forwardedHost: string
  /** Value for Forwarded (RFC 7239), saying the same. */
  readonly forwarded: string
  /** Value for Via (RFC 9110 §7.6.3), ourselves the last. */
  readonly via: string
}

export type OriginOptions = {
  readonly trustedProxies: TrustedProxies
  /** Our name in Via. A request that bears it already has been here: it runs in a circle. */
  readonly viaName: string
}

/** More hops than this are not believed; nobody has them. */
const maxHops = 20

/**
 * Makes the function that says where a request comes from. What the caller claims is heard only if a trusted proxy is at
 * the other end of the socket; else all is set from the socket.
 *
 * @returns A function that refuses with `request-malformed` a request that runs in a circle.
 * @see RFC 7239, RFC 9110 §7.6.3, Traefik CVE-2026-35051, fastify CVE-2026-3635
 */
export const originReader = ({ trustedProxies, viaName }: OriginOptions) => {
  const ownVia = `1.1 ${viaName}`
  const ownViaOf = (httpVersion: string) =>
    httpVersion === '1.1' ? ownVia : `${httpVersion} ${viaName}`
  /** Of a connection whose other end is not trusted to say anything: the same for the same host, as long as it lasts. */
  const lastOf = oncePer((_peer: PeerHere): Last => ({
    host: undefined,
    port: 0,
    origin: undefined,
  }))

  const read = (
    rawHeaders: readonly string[],
    peer: PeerHere,
    head: Pick<RequestHead, 'host' | 'port'>,
    httpVersion: string,
    via: string | undefined,
    isTrusted: boolean,
  ): Origin => {
    const claims = isTrusted ? claimsIn(rawHeaders) : noClaims
    const chain = believedChain(claims.forwardedFor, peer.address, trustedProxies)
    const address = chain[0] ?? peer.address
    const forwardedProto = claims.proto ?? (peer.tlsVersion === '' ? 'http' : 'https')
    const forwardedHost = claims.host ?? authorityText(head)
    return {
      address,
      forwardedFor: chain.join(', '),
      forwardedProto,
      forwardedHost,
      forwarded: forwardedText(chain, forwardedProto, forwardedHost),
      via: via === undefined ? ownViaOf(httpVersion) : `${via}, ${ownViaOf(httpVersion)}`,
    }
  }

  return (
    rawHeaders: readonly string[],
    peer: PeerHere,
    head: Pick<RequestHead, 'host' | 'port'>,
    httpVersion: string = '1.1',
  ): Result<Origin> => {
    const via = valueOf(rawHeaders, 'via')
    if (via !== undefined && viaNames(via).includes(viaName.toLowerCase()))
      return refuse('request-malformed', { detail: 'This request has been here before.' })
    const isTrusted = trustedProxies.has(peer.address)
    if (via !== undefined || isTrusted)
      return pass(read(rawHeaders, peer, head, httpVersion, via, isTrusted))
    const last = lastOf(peer)
    if (last.origin?.ok !== true || last.host !== head.host || last.port !== head.port) {
      last.host = head.host
      last.port = head.port
      last.origin = pass(read(rawHeaders, peer, head, httpVersion, undefined, false))
    }
    return last.origin
  }
}

type PeerHere = Pick<Peer, 'address' | 'tlsVersion'>
type Last = {
  host: string | undefined
  port: number | undefined
  origin: Result<Origin> | undefined
}

type Claims = {
  readonly forwardedFor: string
  readonly proto: 'http' | 'https' | undefined
  readonly host: string | undefined
}

const noClaims: Claims = { forwardedFor: '', proto: undefined, host: undefined }

const claimsIn = (rawHeaders: readonly string[]): Claims => {
  const proto = valueOf(rawHeaders, 'x-forwarded-proto')?.toLowerCase()
  const host = parseAuthority(valueOf(rawHeaders, 'x-forwarded-host') ?? '')
  return {
    forwardedFor: valueOf(rawHeaders, 'x-forwarded-for') ?? '',
    proto: proto === 'http' || proto === 'https' ? proto : undefined,
    host: host && authorityText(host),
  }
}

/**
 * Reads X-Forwarded-For from the right: each entry was written by the proxy to its right, so it is as true as that proxy
 * is trusted. The first that no trusted proxy vouches for is the caller; what stands left of it, the caller wrote.
 */
const believedChain = (
  forwardedFor: string,
  peerAddress: string,
  trusted: TrustedProxies,
): readonly string[] => {
  const chain = [peerAddress]
  if (forwardedFor === '') return chain
  const entries = forwardedFor.split(',')
  for (let i = entries.length - 1; i >= 0 && chain.length < maxHops; i--) {
    const address = addressIn(entries[i] ?? '')
    if (address === '' || !trusted.has(chain[0] ?? '')) break
    chain.unshift(address)
  }
  return chain
}

/** An entry may have a port: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
const addressIn = (entry: string): string => {
  const text = entry.trim()
  if (isIP(text)) return canonicalAddress(text)
  const [, bracketed, named] = withPort.exec(text) ?? []
  return canonicalAddress(bracketed ?? named ?? '')
}

const withPort = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::\d{1,5})?$/

const forwardedText = (chain: readonly string[], proto: string, host: string): string =>
  chain
    .map((address, i) => {
      const node = address.includes(':') ? `"[${address}]"` : address
      return i === 0 ? `for=${node};host="${host}";proto=${proto}` : `for=${node}`
    })
    .join(', ')

/** `1.1 name, HTTP/2 other (comment)`: the names. */
const viaNames = (via: string): string[] =>
  via.split(',').map((entry) => entry.trim().split(/\s+/)[1]?.toLowerCase() ?? '')

/** All values of a header of the raw list, joined as RFC 9110 §5.3 allows. */
const valueOf = (rawHeaders: readonly string[], name: string): string | undefined => {
  let value: string | undefined
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const sent = rawHeaders[i] ?? ''
    if (sent.length === name.length && sent.toLowerCase() === name)
      value = value === undefined ? rawHeaders[i + 1] : `${value}, ${rawHeaders[i + 1]}`
  }
  return value
}
