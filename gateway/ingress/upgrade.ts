import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Problem } from '#contract/problem'
import { joinSockets } from '#http/join-sockets'
import type { Sent } from '../answer.ts'
import { admitUpgrade, switchingProtocols, watchForEarlyData } from '../web-socket.ts'
import { answerHeaders } from './answer-headers.ts'
import { forward, type Forwarding } from './forward.ts'
import type { Admitted } from './pipeline.ts'
import type { Relayed } from './relay.ts'

/**
 * Passes an admitted handshake to its endpoint. The caller gets its 101 only after the upstream's, then all that either
 * side sends is passed on until one of them ends; any other answer goes to the caller as it is.
 *
 * @param res On the same socket, for the answer to a handshake that fails.
 * @see RFC 6455 §4
 */
export const forwardUpgrade = async (
  request: Admitted,
  res: ServerResponse,
  caller: Duplex,
  forwarding: Forwarding,
): Promise<Sent> => {
  const watch = watchForEarlyData(caller, () => forwarding.cut.cut(tooEarly))
  const agreed = async (headers: readonly string[], upstream: Duplex): Promise<Relayed> => {
    const withhold = (problem: Problem, result: Relayed['result']): Relayed => {
      upstream.destroy()
      return { sent: forwarding.refuse(problem), result }
    }
    forwarding.cut.onCut(() => upstream.destroy())
    const { head, inspection } = request
    const admitted = await admitUpgrade(head, headers, inspection, 'upstream-broken')
    const problem = forwarding.cut.by() ?? (admitted.ok ? undefined : admitted.problem)
    if (problem) return withhold(problem, problem.tag === 'upstream-broken' ? 'broken' : 'ok')
    if (caller.destroyed) return withhold({ tag: 'caller-gone' }, 'caller-gone')
    watch.stop()
    res.detachSocket(caller as never)
    const { theirs, ours } = answerHeaders(headers, request, forwarding.quotaHeaders)
    caller.write(switchingProtocols([...theirs, ...ours]))
    const { idleTimeoutMs } = request.route.config.websocket ?? { idleTimeoutMs: 0 }
    const joined = joinSockets(caller, upstream, idleTimeoutMs)
    forwarding.cut.onCut(joined.cut)
    const { bytesFromCaller, bytesToCaller, problem: ended } = await joined.closed
    const sent = { status: 101, bytesIn: bytesFromCaller, bytesOut: bytesToCaller }
    return { sent: ended ? { ...sent, problem: ended } : sent, result: 'ok' }
  }
  const sent = await new Promise<Sent>((resolve) =>
    forward(request, res, forwarding, resolve, (headers, upstream, settle) => {
      const broke = (cause: unknown) => {
        upstream.destroy()
        settle({ sent: forwarding.refuse({ tag: 'internal', cause }), result: 'ok' })
      }
      agreed(headers, upstream).then(settle, broke)
    }),
  )
  watch.stop()
  return sent
}

const tooEarly: Problem = {
  tag: 'upgrade-refused',
  detail: 'Data came before the upgrade was agreed to.',
}
