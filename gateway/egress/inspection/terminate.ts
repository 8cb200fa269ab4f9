import { TLSSocket, type SecureContext } from 'node:tls'
import type { Duplex } from 'node:stream'
import { pass, refuse, type Result } from '#contract/problem'
import { ignoreError } from '#http/ignore-error'
import type { Authority } from '../authority.ts'

export type Terminating = {
  /** What was read of the ClientHello already. */
  readonly first: Buffer
  readonly context: SecureContext
  readonly alpn: readonly string[]
  readonly authority: Authority
  readonly timeoutMs: number
}

/**
 * Ends a workload's TLS here: it gets the certificate that stands for the host it asked for.
 *
 * @returns Refuses with `inspection-failed`; its cause tells whether the workload does not trust the certificate.
 */
export const terminateTls = (
  workload: Duplex,
  { first, context, alpn, authority, timeoutMs }: Terminating,
): Promise<Result<TLSSocket>> =>
  new Promise((resolve) => {
    if (!workload.readable) {
      workload.destroy()
      return resolve(refuse('inspection-failed', { cause: itLeft }))
    }
    workload.unshift(first)
    const socket = new TLSSocket(workload, {
      isServer: true,
      secureContext: context,
      ALPNProtocols: [...alpn],
      requestCert: false,
      rejectUnauthorized: false,
    })
    const settle = (result: Result<TLSSocket>) => {
      clearTimeout(timer)
      socket.off('secure', ready).off('error', failed).off('close', gone)
      socket.on('error', ignoreError) // 'close' follows, and tells whoever uses it
      if (!result.ok) {
        socket.destroy()
        workload.destroy()
      }
      resolve(result)
    }
    const fail = (cause: string) => settle(refuse('inspection-failed', { cause }))
    const failed = (error: NodeJS.ErrnoException) => fail(error.code ?? error.message)
    const gone = () => fail(itLeft)
    const ready = () => {
      // As Node's own servers do it; HTTP/2 waits for it.
      Object.assign(socket, { secureConnecting: false })
      const { servername } = socket as { servername?: string | false | null }
      if (typeof servername === 'string' && servername.toLowerCase() !== authority.host)
        return fail('its handshake names another server than its ClientHello')
      settle(pass(socket))
    }
    const timer = setTimeout(() => fail(`no handshake within ${timeoutMs} ms`), timeoutMs)
    socket.once('secure', ready).once('error', failed).once('close', gone)
  })

const itLeft = 'the workload left in its handshake'
