import { isIP, type OnReadOpts } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import type { SpiffeId } from '#contract/spiffe-id'
import { spiffePeer } from '#identity/svid/peer'
import type { Svid } from '#identity/svid/svid'

/** Where to connect to, who must answer there, and as whom we come. */
export type DialTarget = {
  readonly host: string
  readonly port: number
  /** What to connect to instead of looking `host` up. */
  readonly address?: string
  readonly expected: SpiffeId
  readonly svid: Svid
  readonly alpn: readonly string[]
  /** For TCP and TLS together. */
  readonly timeoutMs: number
  /** Where what comes goes, instead of `data` events: it saves a buffer for each read. */
  readonly onread?: OnReadOpts
}

/**
 * Opens a TLS connection on which both sides have proved who they are. Sessions are never resumed: Node would skip the
 * check of the peer's identity then.
 *
 * @returns Rejects with Node's error; `isPeerFault` tells whether it is for who the peer is.
 */
export const dialMutualTls = (target: DialTarget, signal?: AbortSignal): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const { svid, expected, onread } = target
    const socket = connect({
      host: target.address ?? target.host,
      port: target.port,
      // Node refuses an address as SNI. A name says nothing of the identity that must answer.
      ...(isIP(target.host) ? {} : { servername: target.host }),
      cert: svid.certificateChain,
      key: svid.privateKey.reveal(),
      minVersion: 'TLSv1.2',
      ALPNProtocols: [...target.alpn],
      ...(onread === undefined ? {} : { onread }),
      ...spiffePeer({ expected, bundle: svid.bundle }).tlsOptions,
    })
    socket.setNoDelay(true) // what is written is whole: nothing to wait for
    const timer = setTimeout(() => socket.destroy(timeoutError(target.timeoutMs)), target.timeoutMs)
    const abort = () => socket.destroy(new Error('no longer wanted'))
    signal?.addEventListener('abort', abort, { once: true })
    const settle = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      socket.off('error', failed).off('secureConnect', ready)
    }
    const failed = (error: Error) => {
      settle()
      socket.on('error', () => {}) // another may follow, and nobody else listens
      socket.destroy()
      reject(error)
    }
    const ready = () => {
      settle()
      resolve(socket)
    }
    socket.once('error', failed).once('secureConnect', ready)
  })

const timeoutError = (ms: number) =>
  Object.assign(new Error(`no TLS connection within ${ms} ms`), { code: 'ETIMEDOUT' })

/** Of `spiffePeer`, and OpenSSL's verdicts on a chain: the peer is there, but is not to be trusted. */
const peerFaultCodes = new Set([
  'ERR_SPIFFE_PEER',
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

/** Host and port of `https://HOST:PORT`, and which of its addresses is meant. */
export const addressOf = (
  endpoint: string,
  address?: string,
): Pick<DialTarget, 'host' | 'port' | 'address'> => {
  const { hostname, port } = new URL(endpoint)
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || 443),
    ...(address === undefined ? {} : { address }),
  }
}

/** Whether a connection failed for who the peer is, not for want of one. */
export const isPeerFault = (cause: unknown): boolean =>
  peerFaultCodes.has((cause as NodeJS.ErrnoException | undefined)?.code ?? '')
