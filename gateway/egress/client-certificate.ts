import { createHash, type X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { SpiffeId } from '#contract/spiffe-id'
import { readSvidLeaf } from '#identity/svid/certificate'
import { peerSpiffeId } from '#identity/svid/peer'

/** The certificate at the other end of a connection, as far as it is one. */
export type ClientCertificate =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'bad'
      readonly fault: string
      /** Set where TLS proved that the peer holds its key, and no root of our trust domain is behind it. */
      readonly stranger?: X509Certificate
    }
  | {
      readonly kind: 'svid'
      readonly spiffeId: SpiffeId
      readonly notAfterMs: number
      readonly sha256: string
    }

const certificateKey = Symbol('client certificate')
type Known = Socket & { [certificateKey]?: ClientCertificate }

/** Read once a connection: a certificate does not change on one. */
export const clientCertificateOf = (socket: Socket): ClientCertificate =>
  ((socket as Known)[certificateKey] ??= readCertificate(socket as TLSSocket))

const none = { kind: 'none' } as const

const readCertificate = (socket: TLSSocket): ClientCertificate => {
  // Without TLS there is none, as on the listener of a test.
  const certificate = (socket as Partial<TLSSocket>).getPeerX509Certificate?.call(socket)
  if (!certificate) return none
  const peer = peerSpiffeId(socket)
  if (!peer.ok)
    return socket.authorized || socket.isSessionReused()
      ? { kind: 'bad', fault: peer.fault }
      : { kind: 'bad', fault: peer.fault, stranger: certificate }
  const leaf = readSvidLeaf(certificate.raw)
  if (!leaf.ok) return { kind: 'bad', fault: leaf.fault }
  return {
    kind: 'svid',
    spiffeId: peer.value,
    notAfterMs: leaf.value.notAfterMs,
    sha256: createHash('sha256').update(certificate.raw).digest('hex'),
  }
}
