import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { canonicalAddress } from './networks.ts'

/** Who is at the other end of a connection, as far as the connection itself tells. */
export type Peer = {
  /** Canonical; of the caller behind a load balancer, if a trusted one told it by the PROXY protocol. */
  readonly address: string
  readonly port: number
  /** `TLSv1.3`, `TLSv1.2`; '' without TLS. */
  readonly tlsVersion: string
  /** What the caller asked for by SNI, lower-case; '' if it named nothing. */
  readonly serverName: string
  /** SHA-256 of the certificate that it showed, 64 hex digits; whether anyone trusts it is for others to say. */
  readonly certificateSha256?: string
  /** The same certificate, in DER. */
  readonly certificate?: Buffer
  /** The same certificate, if it leads to a root that the listener trusts. Its times were looked at in the handshake. */
  readonly trustedCertificate?: Buffer
}

const peerKey = Symbol('peer')
type Known = Socket & { [peerKey]?: Peer }

/** What is known of a connection's other end; read once a connection. */
export const peerOf = (socket: Socket): Peer => ((socket as Known)[peerKey] ??= readPeer(socket))

/** Notes what a trusted load balancer said of the caller, in place of its own address. */
export const setPeerAddress = (socket: Socket, address: string, port: number): void => {
  ;(socket as Known)[peerKey] = { ...readPeer(socket), address, port }
}

const readPeer = (socket: Socket): Peer => {
  const { getProtocol, getPeerX509Certificate, servername, authorized } =
    socket as Partial<TLSSocket>
  const certificate = getPeerX509Certificate?.call(socket)
  return {
    address: canonicalAddress(socket.remoteAddress ?? ''),
    port: socket.remotePort ?? 0,
    tlsVersion: getProtocol?.call(socket) ?? '',
    serverName: typeof servername === 'string' ? servername.toLowerCase() : '',
    ...(certificate && {
      certificateSha256: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
      certificate: certificate.raw,
      ...(authorized === true ? { trustedCertificate: certificate.raw } : {}),
    }),
  }
}
