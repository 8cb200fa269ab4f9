import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Problem } from '#contract/problem'
import type { Soon } from '#contract/step'
import { bodyOf } from '#http/body'
import type { Doors } from '#http/doors'
import { peerOf } from '#http/peer'
import { replyProblem, replyProblemOnSocket, type Replied } from '#http/problem-reply'
import { answer, type Door, type Exchange, type Sent } from '../answer.ts'
import { responseOn } from '../ingress/take-requests.ts'
import { placeOf } from './allow.ts'
import { closedRecord, openedRecord, type TunnelNotes } from './audit-record.ts'
import { clientCertificateOf } from './client-certificate.ts'
import { clientOnSocket } from './client-on-socket.ts'
import { forward } from './forward.ts'
import { forwardUpgrade } from './forward-upgrade.ts'
import type { InspectTunnel } from './inspection/inspect-tunnel.ts'
import { spendBytes } from './limit.ts'
import type { Admitted } from './pipeline.ts'
import type { EgressReceived } from './received.ts'
import { toWorkload } from './refusal.ts'
import { awaitAnswer, takeTunnel } from './take-tunnel.ts'
import { bodyLimits, closed, idleMsOf, type Serving, type Taking } from './taking.ts'
import type { Tunnels } from './tunnels.ts'

export type TakingAll = Taking & {
  readonly tunnels: Tunnels
  readonly inspectTunnel: InspectTunnel
  readonly isFirstVisit: (spiffeId: string, place: string) => boolean
}

/** What becomes a tunnel, for whoever sends it. */
type OnSocket = {
  readonly serving: Serving
  readonly notes: TunnelNotes
  /** The answer to a request that asks for a WebSocket. */
  answering: ServerResponse | undefined
  readonly refuse: (problem: Problem) => Replied & { readonly problem: Problem }
  readonly opened: (admitted: Admitted, cut: () => void) => void
  readonly cutFor: () => Problem | undefined
}

const nothing = Buffer.alloc(0)

/** Takes what comes in at any door of the egress listener and brings it to its end: answered, recorded and counted, once. */
export const takeEgress = (taking: TakingAll): Pick<Doors, 'request' | 'upgrade' | 'connect'> => {
  const { enter, live, audit, figures, clock, randomBytes } = taking

  const run = (
    serving: Serving,
    exchange: Exchange<EgressReceived, Admitted>,
    notes: TunnelNotes,
  ): Soon<void> =>
    answer(serving.way, exchange, {
      open: live.add,
      leave: serving.leave,
      watch: figures.watch,
      record: (ending) => {
        ending.facts.slot?.release()
        const event = closedRecord(ending, notes)
        audit.write(event)
        figures.ended(ending, event.step, event.outcome)
        const { door, connection, decision, body } = ending.facts
        if (door === 'request' && connection && decision)
          figures.moved(decision.rule, body.bytesIn(), ending.sent.bytesOut)
        if (event.problem !== 'internal') return
        connection?.socket.destroy() // whoever broke did not come to that
        taking.bug(event.decisionId, event.step, ending.sent.problem?.cause)
      },
    })

  const request = (req: IncomingMessage, res: ServerResponse) => {
    const serving = enter()
    if (!serving) return void replyProblem(res, closed)
    const { received, leave } = receive('request', req, res)
    const notes: TunnelNotes = {}
    let cutFor: Problem | undefined
    const refuse = (problem: Problem): Sent => ({
      ...replyProblem(res, toWorkload(cutFor ?? problem), received.decisionId),
      problem: cutFor ?? problem,
    })
    return run(
      serving,
      {
        received,
        send: (admitted) => {
          noteVisit(admitted, notes)
          const { ask } = admitted
          if (ask.kind !== 'request') throw new Error('a tunnel came by the door of requests')
          const { socket } = admitted.connection
          return forward({ ...admitted, ask }, res, {
            client: clientOnSocket(socket),
            refuse,
            ...forwardingOf(serving, admitted),
          }).finally(() => socket.destroy())
        },
        refuse,
        cut: (problem) => {
          cutFor ??= problem
          leave()
          res.destroy()
        },
      },
      notes,
    )
  }

  /**
   * Takes what becomes a tunnel. Of ten thousand each is kept for as long as it lives, with all that its closures know: so
   * the request is none of that, nor are its headers once it is open.
   *
   * @param senderOf Makes what sends it, once it has passed the way.
   */
  const onSocket = (
    door: 'connect' | 'upgrade',
    req: IncomingMessage,
    socket: Duplex,
    early: Buffer | undefined,
    senderOf: (tunnel: OnSocket) => (admitted: Admitted) => Promise<Sent>,
  ) => {
    const serving = enter()
    if (!serving) return void replyProblemOnSocket(socket, closed)
    req.socket.setTimeout(0) // the tunnel has times of its own
    const began = performance.now()
    const { method, url, httpVersion, rawHeaders } = req
    const raw = { method, url, httpVersion, rawHeaders }
    const { received: whole, leave } = receive(door, req, undefined)
    const received = { ...whole, raw, ...(early ? { early } : {}) }
    const notes: TunnelNotes = {}
    let cutFor: Problem | undefined
    let cutTunnel: (() => void) | undefined
    const tunnel: OnSocket = {
      serving,
      notes,
      answering: undefined,
      refuse: (problem) => {
        const shown = cutFor ?? problem
        const { decisionId } = received
        const replied = tunnel.answering
          ? replyProblem(tunnel.answering, toWorkload(shown), decisionId)
          : replyProblemOnSocket(socket, toWorkload(shown), decisionId)
        return { ...replied, problem: shown }
      },
      opened: (admitted, cut) => {
        cutTunnel = cut
        raw.rawHeaders = []
        audit.write(openedRecord(admitted, notes, performance.now() - began))
      },
      cutFor: () => cutFor,
    }
    const send = senderOf(tunnel)
    return run(
      serving,
      {
        received,
        send: (admitted) => {
          noteVisit(admitted, notes)
          return send(admitted)
        },
        refuse: tunnel.refuse,
        cut: (problem) => {
          cutFor ??= problem
          leave()
          cutTunnel?.()
          socket.destroy()
        },
      },
      notes,
    )
  }

  const connect = (req: IncomingMessage, socket: Duplex, early: Buffer) => {
    const head = early.length > 0 ? early : nothing // an empty part of a chunk keeps all of it
    awaitAnswer(socket, head)
    return onSocket('connect', req, socket, undefined, ({ serving, notes, opened, cutFor }) => {
      return (admitted) =>
        takeTunnel(admitted, socket, head, {
          parts: serving.parts,
          tunnels: taking.tunnels,
          inspectTunnel: taking.inspectTunnel,
          figures,
          notes,
          opened: (cut) => opened(admitted, cut),
          cutFor,
        })
    })
  }

  const upgrade = (req: IncomingMessage, socket: Duplex, early: Buffer) =>
    onSocket('upgrade', req, socket, early, (tunnel) => (admitted) => {
      const { serving, notes, refuse, opened, cutFor } = tunnel
      const { ask, connection, decision } = admitted
      if (ask.kind !== 'request') throw new Error('a tunnel came by the door of upgrades')
      tunnel.answering = responseOn(socket, req)
      return forwardUpgrade({ ...admitted, ask }, tunnel.answering, socket, {
        client: clientOnSocket(connection.socket),
        refuse,
        ...forwardingOf(serving, admitted),
        tunnels: taking.tunnels,
        figures,
        notes,
        limits: serving.parts.limits.get(decision.rule),
        opened: (cut) => opened(admitted, cut),
        cutFor,
      }).finally(() => connection.socket.destroy())
    })

  const forwardingOf = ({ parts }: Serving, admitted: Admitted) => ({
    viaName: parts.viaName,
    headersTimeoutMs: parts.headersTimeoutMs,
    idleTimeoutMs: idleMsOf(parts, admitted.decision),
    maxBodyBytes: parts.maxBodyBytes,
    spend: spendBytes(parts.limits, parts.accounts, clock, admitted),
  })

  const noteVisit = (admitted: Admitted, notes: TunnelNotes) => {
    const { host, port } = placeOf(admitted)
    if (taking.isFirstVisit(admitted.workload.spiffeId, `${host}:${port}`)) notes.isFirst = true
  }

  const receive = (door: Door, req: IncomingMessage, res: ServerResponse | undefined) => {
    const { leave, gone } = leaving()
    req.socket.once('close', leave)
    const received: EgressReceived = {
      door,
      raw: req,
      peer: peerOf(req.socket),
      certificate: clientCertificateOf(req.socket),
      nowMs: clock(),
      decisionId: randomBytes(16).toString('hex'),
      body: bodyOf(req, res, bodyLimits),
      gone,
    }
    res?.once('close', () => req.socket.off('close', leave)) // the next request has its own
    return { received, leave }
  }

  return { request, upgrade, connect }
}

/** By itself, so that what waits for the end of a connection does not keep what came on it. */
const leaving = () => {
  const left = new AbortController()
  // Without a reason it makes one, with a stack, at every end.
  return { leave: () => left.abort('gone'), gone: left.signal }
}
