import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Duplex } from 'node:stream'
import type { TunnelEnd } from '#contract/audit-event'
import type { Problem } from '#contract/problem'
import { faultOf } from '#http/socket-fault'
import type { Sent } from '../../answer.ts'
import { openConnection } from '../connect.ts'
import { findAddresses } from '../find-addresses.ts'
import type { Admitted } from '../pipeline.ts'
import type { Serving } from '../taking.ts'
import type { InnerServer } from './inner-server.ts'
import { destinationClient } from './destination-client.ts'
import { terminateTls } from './terminate.ts'
import type { InspectedTunnel } from './tunnel.ts'

export type InspectTunnelOptions = {
  readonly server: InnerServer
  /** Notes which tunnel a connection is. */
  readonly note: (socket: Socket, tunnel: InspectedTunnel) => void
  /** What is current when another connection is to be made. */
  readonly enter: () => Serving | undefined
  /** What is offered to workloads, whatever the destination speaks. */
  readonly alpn: readonly string[]
}

export type Inspecting = {
  /** What was read of the ClientHello already. */
  readonly first: Buffer
  readonly handshakeTimeoutMs: number
  readonly lifeMs: number
  /** Told when requests may come: what ends it. */
  readonly opened: (cut: () => void) => void
}

export type InspectedEnd = Sent & { readonly by: TunnelEnd; readonly bytesFromWorkload: number }

export type InspectTunnel = (
  admitted: Admitted,
  workload: Duplex,
  inspecting: Inspecting,
) => Promise<InspectedEnd>

/** Makes what serves a tunnel that is looked into, from its ClientHello to its end. It never rejects. */
export const inspectTunnel =
  ({ server, note, enter, alpn }: InspectTunnelOptions): InspectTunnel =>
  async (admitted, workload, { first, handshakeTimeoutMs, lifeMs, opened }) => {
    const { connection, leaf, ask } = admitted
    if (!leaf) throw new Error('an inspected tunnel without a certificate')
    const terminated = await terminateTls(workload, {
      first,
      context: leaf.context,
      alpn,
      authority: ask.authority,
      timeoutMs: handshakeTimeoutMs,
    })
    if (!terminated.ok) {
      connection.socket.destroy()
      return ended('error', 0, 0, terminated.problem)
    }
    const socket = terminated.value
    const client = clientOf(admitted, enter)
    note(socket, client.tunnel)
    server.serve(socket)
    let by: TunnelEnd = 'workload'
    const end = (why: TunnelEnd) => {
      by = why
      socket.destroy()
    }
    const life = setTimeout(() => end('life-over'), lifeMs)
    opened(() => end('cut'))
    await closedOf(socket)
    clearTimeout(life)
    client.end()
    workload.destroy()
    const fault = faultOf({ socket })
    return ended(by, socket.bytesRead, socket.bytesWritten, fault && { tag: fault })
  }

/** The destination's client; what it connects to later goes by the last decision that there was, and is judged anew. */
const clientOf = (admitted: Admitted, enter: () => Serving | undefined) => {
  const { ask, decisionId, peer, certificate, workload, connection } = admitted
  let { decision } = admitted
  const gone = new AbortController()
  const client = destinationClient({
    authority: ask.authority,
    first: connection.socket,
    open: async (alpn, signal) => {
      const serving = enter()
      if (!serving) return { ok: false, problem: { tag: 'draining' } }
      try {
        const addresses = await findAddresses(serving.parts)({ ask, decision })
        if (!addresses.ok) return addresses
        const needs = { ask, decision, addresses: addresses.value, gone: signal }
        return await openConnection(needs, alpn, serving.parts)
      } finally {
        serving.leave()
      }
    },
  })
  const tunnel: InspectedTunnel = {
    decisionId,
    authority: ask.authority,
    peer,
    certificate,
    workload,
    client,
    gone: gone.signal,
    decided: (given) => {
      decision = given
    },
  }
  const end = () => {
    gone.abort('gone')
    client.destroy(new Error('its tunnel has ended'))
  }
  return { tunnel, end }
}

const establishedStatus = 200

const ended = (
  by: TunnelEnd,
  bytesFromWorkload: number,
  bytesOut: number,
  problem?: Problem,
): InspectedEnd => ({
  status: establishedStatus,
  by,
  bytesFromWorkload,
  bytesOut,
  ...(problem ? { problem } : {}),
})

const closedOf = (socket: TLSSocket): Promise<void> =>
  socket.closed
    ? Promise.resolve()
    : new Promise((resolve) => socket.once('close', () => resolve()))
