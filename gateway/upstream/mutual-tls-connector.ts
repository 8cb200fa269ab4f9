import type { buildConnector } from 'undici'
import type { SpiffeId } from '#contract/spiffe-id'
import type { Svid } from '#identity/svid/svid'
import { addressOf, dialMutualTls } from './dial.ts'

/** As whom to connect, and who must answer. */
export type MutualTls = {
  readonly expected: SpiffeId
  readonly svid: Svid
  readonly connectTimeoutMs: number
  /** Which of the addresses of the endpoint's name is meant. */
  readonly address?: string
}

/**
 * Undici's way to connect to an endpoint, made of ours. What undici itself would do takes SNI and the name to check from
 * the Host header, and keeps sessions whose resumption skips that check.
 *
 * @param identity Asked at each connection, so that a renewed SVID is used at once.
 */
export const mutualTlsConnector = (
  endpoint: string,
  identity: () => MutualTls,
): buildConnector.connector => {
  return (_ignored, callback) => {
    const { expected, svid, connectTimeoutMs, address } = identity()
    const dialling = dialMutualTls({
      ...addressOf(endpoint, address),
      expected,
      svid,
      alpn: ['http/1.1'],
      timeoutMs: connectTimeoutMs,
    })
    dialling.then(
      (socket) => callback(null, socket),
      (cause: Error) => callback(cause, null),
    )
  }
}
