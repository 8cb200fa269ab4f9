import { hash, X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { trustDomainOf, type TrustDomain } from '#contract/spiffe-id'
import { readSvidLeaf } from '#identity/svid/certificate'
import { peerSpiffeId } from '#identity/svid/peer'
import type { AuthoritySnapshot } from './ca/snapshot.ts'
import type { Peer, PeerOf } from './peer.ts'

type Seen = {
  /** The keys that it was looked at with. */
  readonly by: AuthoritySnapshot
  readonly peer: Peer
  readonly notAfterMs: number
}

/**
 * Tells by its client certificate who is at the other end of a connection. TLS has checked the chain once, at the
 * handshake; a connection can outlive its certificate and its CA, so both are looked at again: the end at each request,
 * the CA whenever our keys have changed.
 */
export const tlsPeer = (trustDomain: TrustDomain, authority: () => AuthoritySnapshot): PeerOf => {
  const connections = new WeakMap<Socket, Seen>()
  return (socket, nowMs) => {
    if (!isTls(socket)) return { kind: 'none' }
    const by = authority()
    let seen = connections.get(socket)
    if (seen?.by !== by) {
      seen = { by, ...look(socket, trustDomain, by) }
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
  authority: AuthoritySnapshot,
): Pick<Seen, 'peer' | 'notAfterMs'> => {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return { peer: { kind: 'none' }, notAfterMs: 0 }
  const spiffeId = peerSpiffeId(socket)
  if (!spiffeId.ok) return refused(spiffeId.fault)
  const leaf = readSvidLeaf(certificate.raw)
  if (!leaf.ok) return refused(leaf.fault)
  if (trustDomainOf(spiffeId.value) !== trustDomain)
    return refused(`${spiffeId.value} is not of ${trustDomain}`)
  if (!isOurs(certificate, authority))
    return refused(`the CA that certified ${spiffeId.value} is not trusted any more`)
  return {
    peer: {
      kind: 'proven',
      spiffeId: spiffeId.value,
      thumbprint: hash('sha256', certificate.raw, 'base64url'),
    },
    notAfterMs: leaf.value.notAfterMs,
  }
}

/**
 * Whether one of our intermediates signed it, under a root that is still published. A server is not shown the chain that
 * its client sent; but every intermediate that can have signed a living leaf is known here.
 */
const isOurs = (leaf: X509Certificate, { intermediates, roots }: AuthoritySnapshot): boolean => {
  const issuers = intermediates.map(parse).filter((intermediate) => isIssuedBy(leaf, intermediate))
  return issuers.some((issuer) => roots.some((root) => isIssuedBy(issuer, parse(root))))
}

const parse = (der: Buffer) => new X509Certificate(der)

const isIssuedBy = (certificate: X509Certificate, issuer: X509Certificate): boolean =>
  certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)

const refused = (fault: string) => ({ peer: { kind: 'refused', fault } as const, notAfterMs: 0 })

const isTls = (socket: Socket): socket is TLSSocket => 'getPeerX509Certificate' in socket
