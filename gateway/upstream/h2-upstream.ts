import type { TLSSocket } from 'node:tls'
import type { SpiffeId } from '#contract/spiffe-id'
import { h2Client, type Connect } from '#http/h2-client/h2-client'
import type { UpstreamClient } from '#http/upstream-client'
import type { Svid } from '#identity/svid/svid'
import { addressOf, dialMutualTls, isPeerFault } from './dial.ts'

export type H2UpstreamOptions = {
  /** `https://HOST:PORT`. */
  readonly endpoint: string
  /** Which of the addresses of its name is meant. */
  readonly address?: string
  readonly expected: SpiffeId
  readonly svid: Svid
  /** As few as carry what is asked for, and at most so many. */
  readonly maxConnections: number
  readonly connectTimeoutMs: number
  /** What is offered besides `h2`. A peer that chooses it gets nothing. */
  readonly alsoOffered?: readonly string[]
  /** Told of each connection whose peer proved who it is, before anything is sent. */
  readonly connected?: (socket: TLSSocket) => void
}

/** HTTP/2 to one endpoint, over connections on which it proved to be `expected`. */
export const h2Upstream = (options: H2UpstreamOptions): UpstreamClient => {
  const { endpoint, expected, svid, maxConnections, connectTimeoutMs } = options
  const target = {
    ...addressOf(endpoint, options.address),
    expected,
    svid,
    alpn: ['h2', ...(options.alsoOffered ?? [])],
    timeoutMs: connectTimeoutMs,
  }
  const connect: Connect = async ({ onread, signal }) => {
    try {
      const socket = await dialMutualTls({ ...target, onread }, signal)
      options.connected?.(socket)
      return { ok: true, socket }
    } catch (cause) {
      return { ok: false, kind: isPeerFault(cause) ? 'identity-wrong' : 'unreachable', cause }
    }
  }
  return h2Client({ connect, limits: { maxConnections, connectTimeoutMs } })
}
