import { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls'
import { trustDomainOf, type TrustDomain } from '#contract/spiffe-id'
import { readSvidLeaf } from '#identity/svid/certificate'
import { peerSpiffeId } from '#identity/svid/peer'
import type { AuthoritySnapshot } from './ca/authority.ts'
import type { Peer, PeerOf } from './peer.ts'

type Seen = {
  /** The roots that were published when it was looked at. */
  readonly rootsPem: string
  readonly peer: Peer
  readonly notAfterMs: number
}

/**
 * Tells by its client certificate who is at the other end of a connection. TLS has checked the chain once, at the
 * handshake; a connection can outlive its certificate and its root, so both are looked at again: the end at each request,
 * the root whenever roots have changed.
 */
export const tlsPeer = (trustDomain: TrustDomain, authority: () => AuthoritySnapshot): PeerOf => {
  const connections = new WeakMap<Socket, Seen>()
  return (socket, nowMs) => {
    if (!isTls(socket)) return { kind: 'none' }
    const { rootsPem, roots } = authority()
    let seen = connections.get(socket)
    if (seen?.rootsPem !== rootsPem) {
      seen = { rootsPem, ...look(socket, trustDomain, roots) }
      connections.set(socket, seen)
    }
    return seen.peer.kind === 'proven' && nowMs > seen.notAfterMs
      ? { kind: 'refused', fault: `the certificate of ${seen.peer.spiffeId} has expired` }
      : seen.peer
  }
}

const look = (
  socket: TLSSocket,
  trustDomain: TrustDomain,
  roots: readonly Buffer[],
): Pick<Seen, 'peer' | 'notAfterMs'> => {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return { peer: { kind: 'none' }, notAfterMs: 0 }
  const spiffeId = peerSpiffeId(socket)
  if (!spiffeId.ok) return refused(spiffeId.fault)
  const leaf = readSvidLeaf(certificate.raw)
  if (!leaf.ok) return refused(leaf.fault)
  if (trustDomainOf(spiffeId.value) !== trustDomain)
    return refused(`${spiffeId.value} is not of ${trustDomain}`)
  if (!leadsTo(certificate, issuerOf(socket), roots))
    return refused(`the root behind ${spiffeId.value} is not trusted any more`)
  return {
    peer: { kind: 'proven', spiffeId: spiffeId.value },
    notAfterMs: leaf.value.notAfterMs,
  }
}

/** Our chains are leaf, intermediate, root: no other shape is one of ours. */
const leadsTo = (
  leaf: X509Certificate,
  intermediate: X509Certificate | undefined,
  roots: readonly Buffer[],
): boolean =>
  intermediate !== undefined &&
  isIssuedBy(leaf, intermediate) &&
  roots.some((root) => isIssuedBy(intermediate, new X509Certificate(root)))

const isIssuedBy = (certificate: X509Certificate, issuer: X509Certificate): boolean =>
  certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)

/** Only Node's older form of a peer's certificate leads to its issuer. */
const issuerOf = (socket: TLSSocket): X509Certificate | undefined => {
  const { issuerCertificate }: Partial<DetailedPeerCertificate> = socket.getPeerCertificate(true)
  return issuerCertificate === undefined ? undefined : new X509Certificate(issuerCertificate.raw)
}

const refused = (fault: string) => ({ peer: { kind: 'refused', fault } as const, notAfterMs: 0 })

const isTls = (socket: Socket): socket is TLSSocket => 'getPeerX509Certificate' in socket
