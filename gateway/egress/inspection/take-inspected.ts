import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Problem } from '#contract/problem'
import { bodyOf } from '#http/body'
import type { CallerRequest, CallerResponse } from '#http/caller'
import type { Doors } from '#http/doors'
import { replyProblem, replyProblemOnSocket } from '#http/problem-reply'
import { answer, type Door, type Exchange, type Sent } from '../../answer.ts'
import { responseOn } from '../../ingress/take-requests.ts'
import { closedRecord } from '../audit-record.ts'
import { forward, type Forwarding } from '../forward.ts'
import { spendBytes } from '../limit.ts'
import { toWorkload } from '../refusal.ts'
import { bodyLimits, closed, idleMsOf, type Serving, type Taking } from '../taking.ts'
import type { InspectedAdmitted } from './pipeline.ts'
import type { InspectedReceived, InspectedTunnel } from './tunnel.ts'
import { openWebSocket } from './web-socket.ts'

export type TakenInspected = Pick<Doors, 'upgrade' | 'connect'> & {
  /** Of whichever version of HTTP. */
  readonly request: (req: CallerRequest, res: CallerResponse) => void | Promise<void>
}

/** Takes what comes through inspected tunnels and brings it to its end: answered, recorded and counted, once. */
export const takeInspected = (
  { enter, live, audit, figures, clock, randomBytes, bug }: Taking,
  tunnelOf: (socket: Socket) => InspectedTunnel,
): TakenInspected => {
  const run = async (
    serving: Serving,
    exchange: Exchange<InspectedReceived, InspectedAdmitted>,
  ): Promise<void> => {
    await answer(serving.inspected, exchange, {
      open: live.add,
      leave: serving.leave,
      watch: figures.watch,
      record: (ending) => {
        ending.facts.slot?.release()
        const { decision, body, tunnel } = ending.facts
        const { bytesIn = body.bytesIn(), bytesOut } = ending.sent
        const event = closedRecord(ending, { tunnel: tunnel.decisionId })
        audit.write(event)
        figures.ended(ending, event.step, event.outcome)
        if (decision) figures.moved(decision.rule, bytesIn, bytesOut)
        if (event.problem === 'internal')
          bug(event.decisionId, event.step, ending.sent.problem?.cause)
      },
    })
  }

  const request = (req: CallerRequest, res: CallerResponse) => {
    const serving = enter()
    if (!serving) return void replyProblem(res, closed)
    const received = receive('request', req, res)
    let cutFor: Problem | undefined
    const refuse = (problem: Problem): Sent => ({
      ...replyProblem(res, toWorkload(cutFor ?? problem), received.decisionId),
      problem: cutFor ?? problem,
    })
    return run(serving, {
      received,
      send: (admitted) => {
        const { ask } = admitted
        if (ask.kind !== 'request') throw new Error('a tunnel within a tunnel')
        return forward({ ...admitted, ask }, res, forwardingOf(serving, admitted, refuse))
      },
      refuse,
      cut: (problem) => {
        cutFor ??= problem
        res.destroy()
      },
    })
  }

  /** The gate refuses a CONNECT within a tunnel, and the record says so. */
  const onSocket =
    (door: 'connect' | 'upgrade') => (req: IncomingMessage, socket: Duplex, early: Buffer) => {
      const serving = enter()
      if (!serving) return void replyProblemOnSocket(socket, closed)
      const received = receive(door, req, undefined)
      let cutFor: Problem | undefined
      let res: ServerResponse | undefined
      const refuse = (problem: Problem): Sent => {
        const shown = toWorkload(cutFor ?? problem)
        const { decisionId } = received
        const replied = res
          ? replyProblem(res, shown, decisionId)
          : replyProblemOnSocket(socket, shown, decisionId)
        return { ...replied, problem: cutFor ?? problem }
      }
      return run(serving, {
        received: { ...received, early },
        send: (admitted) => {
          const { ask, decision, tunnel } = admitted
          if (ask.kind !== 'request') throw new Error('a tunnel within a tunnel')
          if (!decision.webSockets) return Promise.resolve(refuse(noWebSockets(decision.rule)))
          res = responseOn(socket, req)
          return openWebSocket({ ...admitted, ask }, res, socket, {
            ...forwardingOf(serving, admitted, refuse),
            client: tunnel.client,
            cutFor: () => cutFor,
          })
        },
        refuse,
        cut: (problem) => {
          cutFor ??= problem
          socket.destroy()
        },
      })
    }

  const forwardingOf = (
    { parts }: Serving,
    admitted: InspectedAdmitted,
    refuse: (problem: Problem) => Sent,
  ): Forwarding => {
    const { tunnel, decision, inspection } = admitted
    tunnel.decided(decision)
    return {
      client: tunnel.client,
      inspection,
      refuse,
      viaName: parts.viaName,
      headersTimeoutMs: parts.headersTimeoutMs,
      idleTimeoutMs: idleMsOf(parts, decision),
      maxBodyBytes: parts.maxBodyBytes,
      spend: spendBytes(parts.limits, parts.accounts, clock, admitted),
    }
  }

  const receive = (
    door: Door,
    req: CallerRequest,
    res: CallerResponse | undefined,
  ): InspectedReceived => {
    const tunnel = tunnelOf(req.socket)
    return {
      door,
      raw: req,
      peer: tunnel.peer,
      certificate: tunnel.certificate,
      nowMs: clock(),
      decisionId: randomBytes(16).toString('hex'),
      body: bodyOf(req, res, bodyLimits),
      gone: tunnel.gone, // of several on one connection none is told when another ends
      tunnel,
    }
  }

  return { request, upgrade: onSocket('upgrade'), connect: onSocket('connect') }
}

const noWebSockets = (rule: string): Problem => ({
  tag: 'upgrade-refused',
  detail: `Rule \`${rule}\` lists this host without \`webSockets\`.`,
})
