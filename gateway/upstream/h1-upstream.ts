import type { Connect } from '#http/h2-client/h2-client'
import { h1Client } from '#http/h1-client/h1-client'
import type { UpstreamClient } from '#http/upstream-client'
import { addressOf, dialMutualTls, isPeerFault } from './dial.ts'
import type { UndiciClientOptions } from './undici-client.ts'

/** HTTP/1.1 to one endpoint, over connections on which it proved to be `expected`. */
export const h1Upstream = ({
  endpoint,
  address,
  expected,
  svid,
  maxConnections,
  connectTimeoutMs,
}: UndiciClientOptions): UpstreamClient => {
  const target = {
    ...addressOf(endpoint, address),
    expected,
    svid,
    alpn: ['http/1.1'],
    timeoutMs: connectTimeoutMs,
  }
  const connect: Connect = async ({ onread, signal }) => {
    try {
      return { ok: true, socket: await dialMutualTls({ ...target, onread }, signal) }
    } catch (cause) {
      return { ok: false, kind: isPeerFault(cause) ? 'identity-wrong' : 'unreachable', cause }
    }
  }
  return h1Client({ connect, limits: { maxConnections, connectTimeoutMs } })
}
