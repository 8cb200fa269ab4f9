import { isIP } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import type { SpiffeId } from '#contract/spiffe-id'
import type { Svid } from '#identity/svid/svid'
import { checkSpiffePeer } from '#identity/svid/peer'

/** Where to connect to, who must answer there, and as whom we come. */
export type DialTarget = {
  readonly host: string
  readonly port: number
  readonly expected: SpiffeId
  readonly svid: Svid
  readonly alpn: readonly string[]
  readonly timeoutMs: number
}

/** The peer is not who it must be, or could not be checked. */
export class PeerIdentityError extends Error {
  override readonly name = 'PeerIdentityError'
}

/**
 * Opens a TLS connection on which both sides have proved who they are. Sessions are never resumed: Node would skip the
 * check of the peer's name then, and so its identity.
 *
 * @returns Rejects with `PeerIdentityError` for the wrong peer, with Node's error when there is no connection.
 */
export const dialMutualTls = (target: DialTarget, signal?: AbortSignal): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const { svid, expected } = target
    const socket = connect({
      host: target.host,
      port: target.port,
      // Node refuses an address as SNI; a name goes as it is, and says nothing of the identity that must answer.
      ...(isIP(target.host) ? {} : { servername: target.host }),
      cert: svid.certificateChain,
      key: svid.privateKey.reveal(),
      ca: svid.bundle,
      minVersion: 'TLSv1.2',
      ALPNProtocols: [...target.alpn],
      rejectUnauthorized: true,
      checkServerIdentity: (_host, certificate) => {
        const checked = checkSpiffePeer(certificate.raw, expected)
        return checked.ok ? undefined : new PeerIdentityError(String(checked.problem.cause))
      },
    })
    const timer = setTimeout(
      () => socket.destroy(new Error(`no TLS connection within ${target.timeoutMs} ms`)),
      target.timeoutMs,
    )
    const abort = () => socket.destroy(new Error('no longer wanted'))
    signal?.addEventListener('abort', abort, { once: true })
    const settle = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      socket.off('error', failed).off('secureConnect', ready)
    }
    const failed = (error: NodeJS.ErrnoException) => {
      settle()
      socket.on('error', () => {})
      socket.destroy()
      reject(
        isCertificateError(error) ? new PeerIdentityError(error.message, { cause: error }) : error,
      )
    }
    const ready = () => {
      settle()
      resolve(socket)
    }
    socket.once('error', failed).once('secureConnect', ready)
  })

/** OpenSSL's verdicts on a chain, by code: the peer is there, but is not to be trusted. */
const certificateErrors = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'CERT_SIGNATURE_FAILURE',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
])
const isCertificateError = (error: NodeJS.ErrnoException): boolean =>
  !(error instanceof PeerIdentityError) && certificateErrors.has(error.code ?? '')
