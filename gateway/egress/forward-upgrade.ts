import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Problem } from '#contract/problem'
import type { Sent } from '../answer.ts'
import type { UpgradingClient } from '../upstream/undici-client.ts'
import { switchingProtocols, watchForEarlyData } from '../web-socket.ts'
import type { TunnelNotes } from './audit-record.ts'
import type { EgressFigures } from './figures.ts'
import { admitAgreement } from './admit-agreement.ts'
import { forward, type Forwarding, type Outgoing } from './forward.ts'
import type { RuleLimits } from './limit.ts'
import { answerHeaders } from './relay-answer.ts'
import type { Tunnels } from './tunnels.ts'
import { webSocketScan } from './web-socket-scan.ts'

export type ForwardingUpgrade = Omit<Forwarding, 'upgrade'> & {
  readonly client: Pick<UpgradingClient, 'dispatch' | 'upgrade'>
  readonly tunnels: Tunnels
  readonly figures: EgressFigures
  readonly notes: TunnelNotes
  readonly limits: RuleLimits | undefined
  /** Told when bytes begin to pass: what cuts it. */
  readonly opened: (cut: () => void) => void
  readonly cutFor: () => Problem | undefined
}

/**
 * Passes a WebSocket handshake to its destination. The workload gets its 101 only after the destination's, then all that
 * either side sends is passed on, as in a tunnel; any other answer goes to the workload as it is.
 *
 * @param res On the same socket, for the answer to a handshake that fails.
 * @see RFC 6455 §4
 */
export const forwardUpgrade = async (
  outgoing: Outgoing,
  res: ServerResponse,
  workload: Duplex,
  forwarding: ForwardingUpgrade,
): Promise<Sent> => {
  const { client, refuse, tunnels, figures, notes, limits, viaName, opened, cutFor } = forwarding
  const { decision, decisionId } = outgoing
  const watch = watchForEarlyData(workload, () => workload.destroy())

  const agreed = async (headers: readonly string[], destination: Duplex): Promise<Sent> => {
    const problem = await admitAgreement(outgoing, headers, workload, undefined, cutFor)
    if (problem) {
      destination.destroy()
      return refuse(problem)
    }
    watch.stop()
    res.detachSocket(workload as Socket)
    workload.write(switchingProtocols(answerHeaders(headers, viaName, decisionId)))
    const tunnel = tunnels.open(
      {
        workload,
        destination: destination as Socket,
        spiffeId: outgoing.workload.spiffeId,
        limits,
        watch: webSocketScan(outgoing.credential),
      },
      Buffer.alloc(0),
    )
    opened(tunnel.cut)
    const { by, bytesOut, bytesIn, problem: refused } = await tunnel.ended
    notes.closedBy = by
    figures.tunnelEnded(decision.rule, by)
    figures.moved(decision.rule, bytesOut, bytesIn)
    const why = cutFor() ?? refused
    return { status: 101, bytesIn: bytesOut, bytesOut: bytesIn, ...(why ? { problem: why } : {}) }
  }
  const sent = await forward(outgoing, res, { ...forwarding, upgrade: { client, agreed } })
  watch.stop()
  return sent
}
