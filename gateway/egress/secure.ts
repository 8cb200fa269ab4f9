import type { Socket } from 'node:net'
import {
  connect,
  createSecureContext,
  rootCertificates,
  type SecureContext,
  type TLSSocket,
} from 'node:tls'
import { pass, refuse, type Refusal, type Result } from '#contract/problem'
import { ignoreError } from '#http/ignore-error'

/** Whom a destination must prove to be, and by whose word. */
export type Securing = {
  /** Server name and name of the certificate; an address must stand in the certificate. */
  readonly host: string
  readonly isAddress: boolean
  readonly roots: SecureContext
  readonly alpn: readonly string[]
}

/**
 * Whose certificates are believed on the way out.
 *
 * @param files PEM, of roots of the operator's own.
 * @throws Error of OpenSSL for what is no certificate.
 */
export const destinationRoots = (own: readonly string[], publicRoots: boolean): SecureContext =>
  createSecureContext({
    ca: [...own, ...(publicRoots ? rootCertificates : [])],
    minVersion: 'TLSv1.2',
  })

/**
 * Makes TLS of a connection that was dialled, with the server name and the certificate of the host that was asked for.
 * Sessions are never resumed: that would skip the check.
 *
 * @returns Refuses with `destination-untrusted`, `destination-unreachable`, `destination-timeout` or `caller-gone`; the
 *   connection is closed then.
 */
export const secure = (
  plain: Socket,
  { host, isAddress, roots, alpn }: Securing,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Result<TLSSocket>> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve(closing(plain, refuse('caller-gone')))
    const socket = connect({
      socket: plain,
      host, // what the certificate must name where there is no server name
      ...(isAddress ? {} : { servername: host }), // RFC 6066 §3: an address is none
      secureContext: roots,
      ALPNProtocols: [...alpn],
      rejectUnauthorized: true,
    })
    const settle = (result: Result<TLSSocket>) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', gone)
      socket.off('secureConnect', ready).off('error', failed).off('close', closed)
      socket.on('error', ignoreError) // 'close' follows, and tells whoever uses it
      resolve(result.ok ? result : closing(socket, result))
    }
    const gone = () => settle(refuse('caller-gone'))
    const ready = () => settle(pass(socket))
    const closed = () =>
      settle(
        refuse('destination-unreachable', { cause: 'it closed the connection in the handshake' }),
      )
    const failed = (cause: NodeJS.ErrnoException) => settle(faultOf(socket, cause))
    const timer = setTimeout(
      () => settle(refuse('destination-timeout', { cause: 'no TLS handshake in time' })),
      timeoutMs,
    )
    signal.addEventListener('abort', gone, { once: true })
    socket.once('secureConnect', ready).once('error', failed).once('close', closed)
  })

/** Node notes on the socket what it found wrong with the certificate. What OpenSSL says of the protocol begins alike. */
const faultOf = (socket: TLSSocket, cause: NodeJS.ErrnoException): Refusal => {
  const isUntrusted = Boolean(socket.authorizationError) || cause.code?.startsWith('ERR_SSL_')
  return refuse(isUntrusted ? 'destination-untrusted' : 'destination-unreachable', { cause })
}

const closing = (socket: Socket, refusal: Refusal): Refusal => {
  socket.destroy()
  return refusal
}
