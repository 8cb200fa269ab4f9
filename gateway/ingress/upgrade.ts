import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { pass, refuse as refusal, type Problem, type Result } from '#contract/problem'
import { headerOf } from '#contract/request-head'
import { joinSockets } from '#http/join-sockets'
import type { Sent } from '../answer.ts'
import { answerHeaders } from './answer-headers.ts'
import { forward, type Forwarding } from './forward.ts'
import type { Admitted } from './pipeline.ts'
import type { Relayed } from './relay.ts'

const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

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
    const admitted = await admitAnswer(request, headers)
    const problem = forwarding.cut.by() ?? (admitted.ok ? undefined : admitted.problem)
    if (problem) return withhold(problem, problem.tag === 'upstream-broken' ? 'broken' : 'ok')
    if (caller.destroyed) return withhold({ tag: 'caller-gone' }, 'caller-gone')
    watch.stop()
    res.detachSocket(caller as never)
    caller.write(switchingProtocols(answerHeaders(headers, request, forwarding.quotaHeaders)))
    const { idleTimeoutMs } = request.route.config.websocket ?? { idleTimeoutMs: 0 }
    const joined = joinSockets(caller, upstream, idleTimeoutMs)
    forwarding.cut.onCut(joined.cut)
    const { bytesFromCaller, bytesToCaller, problem: ended } = await joined.closed
    const sent = { status: 101, bytesIn: bytesFromCaller, bytesOut: bytesToCaller }
    return { sent: ended ? { ...sent, problem: ended } : sent, result: 'ok' }
  }
  const sent = await forward(request, res, forwarding, agreed)
  watch.stop()
  return sent
}

const tooEarly: Problem = {
  tag: 'upgrade-refused',
  detail: 'Data came before the upgrade was agreed to.',
}

/** A 101 is worth something only from one who has read the key; and the firewall may have a say. */
const admitAnswer = async (
  { head, inspection }: Admitted,
  headers: readonly string[],
): Promise<Result<unknown>> => {
  const key = headerOf(head, 'sec-websocket-key') ?? ''
  const accepted = createHash('sha1').update(`${key}${guid}`).digest('base64')
  if (headerOf({ headers }, 'sec-websocket-accept') !== accepted)
    return refusal('upstream-broken', { cause: 'its 101 does not answer the key (RFC 6455 §4.1)' })
  return inspection?.answers ? inspection.head(101, headers) : pass(undefined)
}

/** Headers have passed the upstream client's parser and hold no line break. */
const switchingProtocols = (headers: readonly string[]): Buffer => {
  let text = 'HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n'
  for (let i = 0; i + 1 < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`
  return Buffer.from(`${text}\r\n`, 'latin1')
}

/**
 * Reads while the handshake is under way: only so is it noticed that the caller leaves. Whatever else comes is too early
 * (Envoy CVE-2026-73548).
 */
const watchForEarlyData = (caller: Duplex, tooEarly: () => void): { readonly stop: () => void } => {
  const read = () => {
    if (caller.read() !== null) tooEarly()
  }
  const gone = () => caller.destroy()
  caller.on('readable', read).on('end', gone)
  return { stop: () => void caller.off('readable', read).off('end', gone) }
}
