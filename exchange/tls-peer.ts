import { hash, type X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { trustDomainOf, type TrustDomain } from '#contract/spiffe-id'
import type { FederatedSvids } from '#identity/federation/federated-svids'
import { readSvidLeaf } from '#identity/svid/certificate'
import { leadsTo, type Authorities } from '#identity/svid/chain'
import { peerSpiffeId } from '#identity/svid/peer'
import type { Peer, PeerOf } from './peer.ts'

type Seen = {
  /** The keys that it was looked at with. */
  readonly by: Authorities
  readonly peer: Peer
  readonly notAfterMs: number
}

/**
 * Tells by its client certificate who is at the other end of a connection. TLS has checked the chain once, at the
 * handshake; a connection can outlive its certificate and its CA, so both are looked at again: the end at each request,
 * the CA whenever our keys have changed.
 */
export const tlsPeer = (
  trustDomain: TrustDomain,
  authorities: () => Authorities,
  strangers: FederatedSvids = () => undefined,
): PeerOf => {
  const connections = new WeakMap<Socket, Seen>()
  return (socket, nowMs) => {
    if (!isTls(socket)) return { kind: 'none' }
    const by = authorities()
    const stranger = strangerOn(socket, strangers, nowMs)
    if (stranger) return stranger
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

/** Somebody of another trust domain that may come here: judged anew each time, for its bundle may have changed. */
const strangerOn = (
  socket: TLSSocket,
  strangers: FederatedSvids,
  nowMs: number,
): Peer | undefined => {
  if (socket.authorized || socket.isSessionReused()) return undefined
  const certificate = certificateOf(socket)
  const svid = certificate && strangers(certificate, nowMs)
  if (certificate === undefined || svid === undefined) return undefined
  if (!svid.ok) return { kind: 'refused', fault: svid.fault }
  const { spiffeId } = svid.value
  return { kind: 'proven', spiffeId, thumbprint: hash('sha256', certificate.raw, 'base64url') }
}

const shown = new WeakMap<TLSSocket, X509Certificate>()

/** The same object each time, by which the judgement on it is remembered. */
const certificateOf = (socket: TLSSocket): X509Certificate | undefined => {
  const certificate = shown.get(socket) ?? socket.getPeerX509Certificate()
  if (certificate) shown.set(socket, certificate)
  return certificate
}

const look = (
  socket: TLSSocket,
  trustDomain: TrustDomain,
  authorities: Authorities,
): Pick<Seen, 'peer' | 'notAfterMs'> => {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return { peer: { kind: 'none' }, notAfterMs: 0 }
  const spiffeId = peerSpiffeId(socket)
  if (!spiffeId.ok) return refused(spiffeId.fault)
  const leaf = readSvidLeaf(certificate.raw)
  if (!leaf.ok) return refused(leaf.fault)
  if (trustDomainOf(spiffeId.value) !== trustDomain)
    return refused(`${spiffeId.value} is not of ${trustDomain}`)
  // Every intermediate that can have signed a living leaf is known here.
  if (!leadsTo(certificate, authorities))
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

const refused = (fault: string) => ({ peer: { kind: 'refused', fault } as const, notAfterMs: 0 })

const isTls = (socket: Socket): socket is TLSSocket => 'getPeerX509Certificate' in socket
