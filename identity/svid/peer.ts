import type { PeerCertificate, TLSSocket } from 'node:tls'
import { pass, refuse, type Result } from '#contract/problem'
import type { SpiffeId } from '#contract/spiffe-id'
import { bad, good, type Outcome } from '../outcome.ts'
import { readSvidLeaf } from './certificate.ts'

/**
 * Checks that a certificate is the X509-SVID of the one who must be there. The chain is TLS's to check, against the roots
 * of the peer's trust domain and no others.
 *
 * @param der Of the peer's leaf; undefined if it showed none.
 * @returns Refuses with `upstream-identity-wrong`.
 */
export const checkSpiffePeer = (der: Buffer | undefined, expected: SpiffeId): Result<SpiffeId> => {
  const leaf = der ? readSvidLeaf(der) : bad('there is none')
  if (!leaf.ok) return wrong(`the peer's certificate: ${leaf.fault}`)
  const { spiffeId } = leaf.value
  return spiffeId === expected
    ? pass(spiffeId)
    : wrong(`the peer is ${spiffeId}, but must be ${expected}`)
}

export type SpiffePeer = {
  /**
   * For `tls.connect` and undici's `connect`. Sessions are not to be resumed: `maxCachedSessions: 0`, no `session`.
   * Node's own check wants a host name, which an SVID need not have.
   */
  readonly tlsOptions: {
    readonly ca: string | string[]
    readonly rejectUnauthorized: true
    readonly checkServerIdentity: (host: string, certificate: PeerCertificate) => Error | undefined
  }
  /** The same once more on an open connection, however it came to be open. Refuses with `upstream-identity-wrong`. */
  readonly check: (socket: TLSSocket) => Result<SpiffeId>
}

/**
 * Who must answer on a connection that we open.
 *
 * @param expected Its SPIFFE ID.
 * @param bundle PEM roots of its trust domain.
 */
export const spiffePeer = ({
  expected,
  bundle,
}: {
  readonly expected: SpiffeId
  readonly bundle: string
}): SpiffePeer => ({
  tlsOptions: {
    ca: bundle === '' ? [] : bundle, // nobody: for '' Node would take the public roots
    rejectUnauthorized: true,
    checkServerIdentity: (_host, certificate) => {
      const checked = checkSpiffePeer(certificate.raw, expected)
      return checked.ok ? undefined : peerError(checked.problem.cause)
    },
  },
  check: (socket) => {
    const peer = peerSpiffeId(socket)
    if (!peer.ok) return wrong(peer.fault)
    return peer.value === expected
      ? pass(expected)
      : wrong(`the peer is ${peer.value}, but must be ${expected}`)
  },
})

/**
 * The SPIFFE ID of whoever is at the other end of an open connection, above all of a client at a server of ours that
 * has `requestCert` and the roots of one trust domain as `ca`.
 *
 * A resumed session is refused: Node calls it authorised without looking at the chain again, so it would outlive its
 * root. Servers that need this set `SSL_OP_NO_TICKET` (nodejs, CVE-2025-23419 in nginx).
 *
 * @returns A fault if the chain was not verified, the session is resumed, or the certificate is no X509-SVID.
 */
export const peerSpiffeId = (socket: TLSSocket): Outcome<SpiffeId> => {
  if (socket.isSessionReused()) return bad('the session is resumed, so its chain was not checked')
  const certificate = socket.getPeerX509Certificate()
  if (!certificate) return bad('the peer has shown no certificate')
  if (!socket.authorized)
    return bad(`the peer's certificate is not trusted: ${codeOf(socket.authorizationError)}`)
  const leaf = readSvidLeaf(certificate.raw)
  return leaf.ok ? good(leaf.value.spiffeId) : bad(`the peer's certificate: ${leaf.fault}`)
}

/** Node's types say Error, but what it puts there is the code as a string. */
const codeOf = (error: unknown): string =>
  typeof error === 'string' ? error : error instanceof Error ? error.message : 'unknown'

const peerError = (cause: unknown): Error =>
  Object.assign(new Error(String(cause)), { code: 'ERR_SPIFFE_PEER' })

const wrong = (cause: string) => refuse('upstream-identity-wrong', { cause })
