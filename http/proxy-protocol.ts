import type { Socket } from 'node:net'
import { canonicalAddress, type Networks } from './networks.ts'

/** What a load balancer says of the connection that it passes on. */
export type ProxyHeader =
  | { readonly kind: 'proxied'; readonly address: string; readonly port: number }
  /** The load balancer itself, looking whether we live. */
  | { readonly kind: 'local' }

/** What has been read so far is the beginning of a header, is no header, or holds one. */
export type ParsedProxyHeader =
  | { readonly state: 'incomplete' }
  | { readonly state: 'invalid' }
  | { readonly state: 'complete'; readonly header: ProxyHeader; readonly length: number }

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
const fixedBytes = 16
/** Addresses and the type-length-values behind them; the longest in use are below 1 KiB. */
const maxBodyBytes = 4096

const incomplete = { state: 'incomplete' } as const
const invalid = { state: 'invalid' } as const

/**
 * Reads a PROXY protocol header, version 2, of a TCP connection. Type-length-values are skipped.
 *
 * @see https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt §2.2
 */
export const parseProxyHeader = (bytes: Buffer): ParsedProxyHeader => {
  const known = Math.min(bytes.length, signature.length)
  if (!bytes.subarray(0, known).equals(signature.subarray(0, known))) return invalid
  if (bytes.length < fixedBytes) return incomplete
  const versionAndCommand = bytes.readUInt8(12)
  const familyAndProtocol = bytes.readUInt8(13)
  const bodyBytes = bytes.readUInt16BE(14)
  if (versionAndCommand >> 4 !== 2 || bodyBytes > maxBodyBytes) return invalid
  const length = fixedBytes + bodyBytes
  if (bytes.length < length) return incomplete
  const complete = (header: ProxyHeader) => ({ state: 'complete', header, length }) as const
  const command = versionAndCommand & 0x0f
  if (command === 0) return complete({ kind: 'local' })
  if (command !== 1) return invalid
  const source = sourceIn(bytes.subarray(fixedBytes, length), familyAndProtocol)
  return source === undefined ? invalid : complete({ kind: 'proxied', ...source })
}

const tcpOverIpv4 = 0x11
const tcpOverIpv6 = 0x21

/** Source address, destination address, source port, destination port. */
const sourceIn = (body: Buffer, familyAndProtocol: number) => {
  if (familyAndProtocol === tcpOverIpv4 && body.length >= 12)
    return { address: body.subarray(0, 4).join('.'), port: body.readUInt16BE(8) }
  if (familyAndProtocol === tcpOverIpv6 && body.length >= 36) {
    const groups = Array.from({ length: 8 }, (_, i) => body.readUInt16BE(2 * i).toString(16))
    const text = new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
    return { address: mappedOrPlain(text), port: body.readUInt16BE(32) }
  }
  return undefined
}

/** The URL parser writes `::ffff:192.0.2.1` as `::ffff:c000:201`. */
const mappedOrPlain = (text: string): string => {
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(text) ?? []
  if (high === undefined || low === undefined) return text
  const [a, b] = [Number.parseInt(high, 16), Number.parseInt(low, 16)]
  return `${a >> 8}.${a & 0xff}.${b >> 8}.${b & 0xff}`
}

export type ProxyProtocolOptions = {
  /** Only these may say who the caller is, and they must (Envoy CVE-2026-47692). Nobody else's bytes are looked at. */
  readonly trustedProxies: Networks
  /** Time for the header to arrive. */
  readonly headerTimeoutMs: number
}

/**
 * Reads the PROXY header of a new connection from a trusted load balancer, before TLS. What follows it goes back into the
 * socket.
 *
 * @param done Called once, with the header, or undefined where none is expected. Not called for a socket that is ended
 *   because its header is broken, late or missing: then it is `refused`.
 */
export const readProxyHeader = (
  socket: Socket,
  { trustedProxies, headerTimeoutMs }: ProxyProtocolOptions,
  done: (header: ProxyHeader | undefined) => void,
  refused: () => void,
): void => {
  if (!trustedProxies.has(canonicalAddress(socket.remoteAddress ?? ''))) return done(undefined)
  let read = Buffer.alloc(0)
  const stop = () => {
    clearTimeout(timer)
    socket.off('readable', onReadable).off('error', onGone).off('close', onGone)
  }
  const onGone = () => {
    stop()
    socket.on('error', () => {})
    socket.destroy()
    refused()
  }
  const onReadable = () => {
    for (let chunk: Buffer | null; (chunk = socket.read() as Buffer | null) !== null;)
      read = Buffer.concat([read, chunk])
    const parsed = parseProxyHeader(read)
    if (parsed.state === 'incomplete') return
    if (parsed.state === 'invalid') return onGone()
    stop()
    if (read.length > parsed.length) socket.unshift(read.subarray(parsed.length))
    done(parsed.header)
  }
  const timer = setTimeout(onGone, headerTimeoutMs)
  socket.on('readable', onReadable).on('error', onGone).on('close', onGone)
}
