import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Problem } from '#contract/problem'
import { joinSockets, type Joined } from '#http/join-sockets'
import type { Sent } from '../../answer.ts'
import type { UpgradingClient } from '../../upstream/undici-client.ts'
import { switchingProtocols, watchForEarlyData } from '../../web-socket.ts'
import { admitAgreement } from '../admit-agreement.ts'
import { forward, type Forwarding, type Outgoing } from '../forward.ts'
import { answerHeaders } from '../relay-answer.ts'
import { webSocketScan } from '../web-socket-scan.ts'

export type OpeningWebSocket = Forwarding & {
  readonly client: UpgradingClient
  /** Why it was cut, if it was. */
  readonly cutFor: () => Problem | undefined
}

/**
 * Passes a handshake within inspected TLS to the destination, by the same forwarder as any request. The workload gets its 101
 * after the destination's; then all that either side sends is passed on, within the workload's bytes of the day.
 *
 * @param res On the same socket, for an answer that is no agreement.
 * @see RFC 6455 §4
 */
export const openWebSocket = async (
  outgoing: Outgoing,
  res: ServerResponse,
  workload: Duplex,
  opening: OpeningWebSocket,
): Promise<Sent> => {
  const { refuse, inspection, viaName, idleTimeoutMs, cutFor } = opening
  const watch = watchForEarlyData(workload, () => workload.destroy())
  const agreed = async (headers: readonly string[], destination: Duplex): Promise<Sent> => {
    const problem = await admitAgreement(outgoing, headers, workload, inspection, cutFor)
    if (problem) {
      destination.destroy()
      return refuse(problem)
    }
    watch.stop()
    res.detachSocket(workload as never)
    workload.write(switchingProtocols(answerHeaders(headers, viaName, outgoing.decisionId)))
    const joined = joinSockets(
      workload,
      destination,
      idleTimeoutMs,
      webSocketScan(outgoing.credential),
    )
    const stopCounting = countBytes(destination as Socket, joined, opening)
    const { bytesFromCaller, bytesToCaller, problem: ended } = await joined.closed
    stopCounting()
    const why = cutFor() ?? ended
    const sent = { status: 101, bytesIn: bytesFromCaller, bytesOut: bytesToCaller }
    return why ? { ...sent, problem: why } : sent
  }
  const sent = await forward(outgoing, res, {
    ...opening,
    upgrade: { client: opening.client, agreed },
  })
  watch.stop()
  return sent
}

const countEveryMs = 1000

/** One look a second does, as for tunnels. */
const countBytes = (
  destination: Socket,
  joined: Joined,
  { spend }: Pick<Forwarding, 'spend'>,
): (() => void) => {
  let counted = { out: 0, in: 0 }
  const count = () => {
    const moved = { out: destination.bytesWritten, in: destination.bytesRead }
    const tooMany = spend({ out: moved.out - counted.out, in: moved.in - counted.in })
    counted = moved
    if (tooMany) joined.cut(tooMany)
  }
  const timer = setInterval(count, countEveryMs).unref()
  return () => {
    clearInterval(timer)
    count()
  }
}
