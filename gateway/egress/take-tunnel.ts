import type { Duplex } from 'node:stream'
import type { ServerNameVerdict } from '#contract/audit-event'
import type { Problem } from '#contract/problem'
import { endWith } from '#http/discard'
import type { Sent } from '../answer.ts'
import type { TunnelNotes } from './audit-record.ts'
import type { EgressFigures } from './figures.ts'
import type { InspectTunnel } from './inspection/inspect-tunnel.ts'
import { peekClientHello, type Peeked } from './peek-client-hello.ts'
import type { EgressParts } from './parts.ts'
import type { Admitted } from './pipeline.ts'
import { watchSecondHello, type RefusedHello } from './second-hello.ts'
import type { Tunnels } from './tunnels.ts'

export type Tunnelling = {
  readonly parts: EgressParts
  readonly tunnels: Tunnels
  readonly figures: EgressFigures
  readonly notes: TunnelNotes
  readonly inspectTunnel: InspectTunnel
  /** Told when bytes begin to pass: what cuts it. */
  readonly opened: (cut: () => void) => void
  /** Why it was cut, if it was. */
  readonly cutFor: () => Problem | undefined
}

/**
 * Lets a workload end its side before it is answered. Node would end ours as soon as it has seen that, and who sends all at
 * once could never be answered. Who ends with nothing behind its request has given it up.
 *
 * @param early What came right behind the request.
 */
export const awaitAnswer = (socket: Duplex, early: Buffer): void => {
  socket.allowHalfOpen = true
  if (early.length === 0) socket.on('end', givenUp)
}

/** Node tells of an end once all before it was read, and before there is an answer nothing is. */
function givenUp(this: Duplex): void {
  this.destroy()
}

const establishedStatus = 200
/** Of a workload whose rule is gone. */
const defaultTunnelSeconds = 86_400

/**
 * Says yes to a CONNECT, looks at the first bytes, and then passes all of them until one side ends. A ClientHello that is
 * not accepted gets a TLS alert: the answer is out already, and the destination has not seen a byte.
 */
export const takeTunnel = (
  admitted: Admitted,
  socket: Duplex,
  early: Buffer,
  tunnelling: Tunnelling,
): Promise<Sent> => {
  const { ask, decision, connection, decisionId } = admitted
  const { parts, cutFor } = tunnelling
  socket.off('end', givenUp)
  if (socket.destroyed) {
    connection.socket.destroy()
    return Promise.resolve({
      status: 499,
      bytesOut: 0,
      problem: cutFor() ?? { tag: 'caller-gone' },
    })
  }
  socket.write(
    `HTTP/1.1 200 Connection Established\r\nx-sallyport-decision-id: ${decisionId}\r\n\r\n`,
  )
  return peekClientHello(socket, early, ask.authority, decision, parts.clientHelloTimeoutMs).then(
    (peeked) => afterPeek(admitted, socket, peeked, tunnelling),
  )
}

/** No function waits here with what was peeked: a tunnel lives long, and would keep it. */
const afterPeek = (
  admitted: Admitted,
  socket: Duplex,
  peeked: Peeked,
  tunnelling: Tunnelling,
): Promise<Sent> => {
  const { decision, connection } = admitted
  const { figures, notes, cutFor } = tunnelling
  notes.serverName = peeked.verdict
  figures.serverName(peeked.verdict)
  if (peeked.isAccepted)
    return decision.protocol === 'tls-inspected'
      ? inspect(admitted, socket, peeked.bytes, tunnelling)
      : pass(admitted, socket, peeked, tunnelling)
  connection.socket.destroy()
  const alert = alertOf(peeked.verdict)
  if (socket.writable) endWith(socket, alert, () => socket.destroy())
  else socket.destroy()
  return Promise.resolve({
    status: establishedStatus,
    bytesOut: 0,
    problem: cutFor() ?? refusedHello(peeked),
  })
}

const inspect = async (
  admitted: Admitted,
  socket: Duplex,
  first: Buffer,
  { parts, inspectTunnel, figures, notes, opened, cutFor }: Tunnelling,
): Promise<Sent> => {
  const { rule } = admitted.decision
  socket.allowHalfOpen = false // HTTP is spoken in it, whose server goes when its client does
  const inspected = await inspectTunnel(admitted, socket, {
    first,
    handshakeTimeoutMs: parts.clientHelloTimeoutMs,
    lifeMs: (parts.limits.get(rule)?.tunnelSeconds ?? defaultTunnelSeconds) * 1000,
    opened,
  })
  const problem = cutFor() ?? inspected.problem
  notes.closedBy = inspected.by
  notes.bytesOut = inspected.bytesFromWorkload
  figures.tunnelEnded(rule, inspected.by) // what moved is counted with each request
  return {
    status: inspected.status,
    bytesOut: inspected.bytesOut,
    ...(problem ? { problem } : {}),
  }
}

const pass = (
  { decision: { rule }, connection, workload: { spiffeId } }: Admitted,
  socket: Duplex,
  { bytes, hello }: Peeked,
  { parts, tunnels, figures, notes, opened, cutFor }: Tunnelling,
): Promise<Sent> => {
  const limits = parts.limits.get(rule)
  const watch =
    hello &&
    watchSecondHello(hello, (refused) => {
      notes.serverName = refused.verdict
      figures.serverName(refused.verdict)
      return { problem: refusedHello(refused), farewell: alertOf(refused.verdict) }
    })
  const tunnel = tunnels.open(
    {
      workload: socket,
      destination: connection.socket,
      reader: connection.reader,
      spiffeId,
      limits,
      watch,
    },
    bytes,
  )
  opened(tunnel.cut)
  return tunnel.ended.then(({ by, bytesOut, bytesIn, problem: refused }) => {
    notes.closedBy = by
    notes.bytesOut = bytesOut
    figures.tunnelEnded(rule, by)
    figures.moved(rule, bytesOut, bytesIn)
    const problem = cutFor() ?? refused
    return { status: establishedStatus, bytesOut: bytesIn, ...(problem ? { problem } : {}) }
  })
}

/** RFC 8446 §6: fatal, and why. */
const unrecognizedName = 112
const accessDenied = 49

const alertOf = (verdict: ServerNameVerdict): Buffer =>
  Buffer.from([21, 3, 3, 0, 2, 2, verdict === 'mismatch' ? unrecognizedName : accessDenied])

const refusedHello = ({ verdict, cause }: RefusedHello): Problem => ({
  tag: 'server-name-refused',
  cause: cause === undefined ? verdict : `${verdict}: ${cause}`,
})
