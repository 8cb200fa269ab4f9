import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Problem } from '#contract/problem'
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
import { takeTunnel } from './take-tunnel.ts'
import { bodyLimits, closed, idleMsOf, type Serving, type Taking } from './taking.ts'
import type { Tunnels } from './tunnels.ts'

export type TakingAll = Taking & {
  readonly tunnels: Tunnels
  readonly inspectTunnel: InspectTunnel
  readonly isFirstVisit: (spiffeId: string, place: string) => boolean
}

/** Takes what comes in at any door of the egress listener and brings it to its end: answered, recorded and counted, once. */
export const takeEgress = (taking: TakingAll): Pick<Doors, 'request' | 'upgrade' | 'connect'> => {
  const { enter, live, audit, figures, clock, randomBytes } = taking

  const run = async (
    serving: Serving,
    exchange: Exchange<EgressReceived, Admitted>,
    notes: TunnelNotes,
  ): Promise<void> => {
    await answer(serving.way, exchange, {
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
  }

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

  const onSocket =
    (door: 'connect' | 'upgrade') => (req: IncomingMessage, socket: Duplex, early: Buffer) => {
      const serving = enter()
      if (!serving) return void replyProblemOnSocket(socket, closed)
      req.socket.setTimeout(0) // the tunnel has times of its own
      const began = performance.now()
      const { received: whole, leave } = receive(door, req, undefined)
      const received = door === 'upgrade' ? { ...whole, early } : whole
      const notes: TunnelNotes = {}
      let cutFor: Problem | undefined
      let answering: ServerResponse | undefined
      let cutTunnel: (() => void) | undefined
      const opened = (admitted: Admitted, cut: () => void) => {
        cutTunnel = cut
        audit.write(openedRecord(admitted, notes, performance.now() - began))
      }
      const refuse = (problem: Problem): Replied & { readonly problem: Problem } => {
        const shown = cutFor ?? problem
        const { decisionId } = received
        const replied = answering
          ? replyProblem(answering, toWorkload(shown), decisionId)
          : replyProblemOnSocket(socket, toWorkload(shown), decisionId)
        return { ...replied, problem: shown }
      }
      return run(
        serving,
        {
          received,
          send: (admitted) => {
            noteVisit(admitted, notes)
            const { ask, connection } = admitted
            if (ask.kind === 'request') {
              answering = responseOn(socket, req)
              return forwardUpgrade({ ...admitted, ask }, answering, socket, {
                client: clientOnSocket(connection.socket),
                refuse,
                ...forwardingOf(serving, admitted),
                tunnels: taking.tunnels,
                figures,
                notes,
                limits: serving.parts.limits.get(admitted.decision.rule),
                opened: (cut) => opened(admitted, cut),
                cutFor: () => cutFor,
              }).finally(() => connection.socket.destroy())
            }
            return takeTunnel(admitted, socket, early, {
              parts: serving.parts,
              tunnels: taking.tunnels,
              inspectTunnel: taking.inspectTunnel,
              figures,
              notes,
              opened: (cut) => opened(admitted, cut),
              cutFor: () => cutFor,
            })
          },
          refuse,
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
    const left = new AbortController()
    const leave = () => left.abort('gone') // without a reason it makes one, with a stack, at every end
    req.socket.once('close', leave)
    const received: EgressReceived = {
      door,
      raw: req,
      peer: peerOf(req.socket),
      certificate: clientCertificateOf(req.socket),
      nowMs: clock(),
      decisionId: randomBytes(16).toString('hex'),
      body: bodyOf(req, res, bodyLimits),
      gone: left.signal,
    }
    res?.once('close', () => req.socket.off('close', leave)) // the next request has its own
    return { received, leave }
  }

  return { request, upgrade: onSocket('upgrade'), connect: onSocket('connect') }
}
