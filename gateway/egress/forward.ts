import { Transform, type Duplex, type Readable } from 'node:stream'
import { grpcStatusIn } from '#contract/grpc'
import type { Inspection } from '#contract/inspection'
import type { Problem, ProblemTag } from '#contract/problem'
import type { CallerResponse } from '#http/caller'
import { answerTrailers } from '#http/trailers'
import type {
  UpstreamClient,
  UpstreamControl,
  UpstreamFault,
  UpstreamFaultKind,
  UpstreamHandler,
  UpstreamRequest,
} from '#http/upstream-client'
import type { Sent } from '../answer.ts'
import { inspectAnswer } from '../ingress/inspect-answer.ts'
import type { UpgradingClient } from '../upstream/undici-client.ts'
import type { GivenCredential } from './credentials/credential.ts'
import { DialFault } from './dial-fault.ts'
import type { Spend } from './limit.ts'
import type { Admitted } from './pipeline.ts'
import type { Ask } from './read-ask.ts'
import { answerRelay } from './relay-answer.ts'
import { authorityOf, requestHeaders } from './request-headers.ts'

export type Forwarding = {
  /** Reaches the place that was asked for, and no other. */
  readonly client: Pick<UpstreamClient, 'dispatch'>
  /** Asks for a WebSocket instead. */
  readonly upgrade?: Upgrading | undefined
  /** What the firewall has to say of the answer. */
  readonly inspection?: Inspection | undefined
  readonly refuse: (problem: Problem) => Sent
  readonly viaName: string
  readonly headersTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly maxBodyBytes: number
  readonly spend: Spend
}

export type Upgrading = {
  readonly client: Pick<UpgradingClient, 'upgrade'>
  /** Takes over the connection once the destination has agreed. Never rejects. */
  readonly agreed: (headers: readonly string[], destination: Duplex) => Promise<Sent>
}

/** A request that may go out. */
export type Outgoing = Pick<Admitted, 'body' | 'decisionId' | 'decision' | 'workload'> & {
  readonly credential?: GivenCredential | undefined
  readonly ask: Extract<Ask, { kind: 'request' }>
}

/**
 * Passes a request to its destination and the answer back, streaming both ways. Redirects are the workload's to follow: each
 * hop is judged anew.
 *
 * @returns Resolves once the last byte is through or cannot come; never rejects.
 */
export const forward = (
  outgoing: Outgoing,
  res: CallerResponse,
  forwarding: Forwarding,
): Promise<Sent> =>
  new Promise((resolve) => {
    const { ask, body, credential, decisionId } = outgoing
    const {
      client,
      upgrade,
      inspection,
      refuse,
      viaName,
      headersTimeoutMs,
      idleTimeoutMs,
      maxBodyBytes,
      spend,
    } = forwarding
    let control: UpstreamControl | undefined
    let bytesOut = 0
    let grpcStatus: number | undefined
    let isSettled = false

    const leave = () => {
      isSettled = true
      res.off('close', callerGone).off('drain', resume)
    }
    const settle = (sent: Sent) => {
      if (isSettled) return
      leave()
      control?.abort(new Error('this is over'))
      resolve(sent)
    }
    const fail = (problem: Problem) => {
      if (isSettled) return
      const shown = body.fault() ?? problem
      settle({ problem: shown, ...refuse(shown), bytesOut }) // it may have been cut for another
    }
    const callerGone = () => fail({ tag: 'caller-gone' })
    const resume = () => control?.resume()

    const taken = body.take(maxBodyBytes)
    const fault = body.fault()
    if (fault) return fail(fault)
    if (res.destroyed) return callerGone()
    res.once('close', callerGone).on('drain', resume)
    const { acceptsTrailers = false, isGrpc = false } = ask.head
    const relay = answerRelay(res, { viaName, decisionId, credential, fail })
    const answering: UpstreamHandler = {
      onStart: (given) => {
        control = given
      },
      onHead: (status, headers) => {
        if (isGrpc) grpcStatus = grpcStatusIn(headers)
        relay.head(status, headers)
      },
      onData: (chunk) => {
        bytesOut += chunk.length
        const tooMany = spend({ out: 0, in: chunk.length })
        if (tooMany) return fail(tooMany)
        if (!relay.data(chunk)) control?.pause()
      },
      onEnd: (given) => {
        const trailers = acceptsTrailers ? answerTrailers(given) : []
        if (trailers === undefined) return fail(tooManyTrailers)
        if (isGrpc) grpcStatus ??= grpcStatusIn(given)
        const done = () =>
          settle({
            status: res.statusCode,
            bytesOut,
            ...(grpcStatus === undefined ? {} : { grpcStatus }),
          })
        res.off('close', callerGone).once('close', done).once('finish', done)
        relay.end(trailers)
      },
      onError: (why) => fail(problemOf(why)),
    }
    const counted = counting(taken, (bytes) => {
      const tooMany = spend({ out: bytes, in: 0 })
      if (tooMany) fail(tooMany)
    })
    if (isSettled) return
    const asked: UpstreamRequest = {
      method: ask.head.method,
      path: ask.head.path + ask.head.query,
      authority: authorityOf(outgoing),
      headers: requestHeaders(outgoing, viaName),
      body: counted,
      needsHttp2: isGrpc,
      headersTimeoutMs,
      idleTimeoutMs,
    }
    const handler = inspection?.answers ? inspectAnswer(inspection, answering, fail) : answering
    if (!upgrade) return client.dispatch(asked, handler)
    upgrade.client.upgrade(asked, {
      ...handler,
      onUpgrade: (answered, destination) => {
        if (isSettled) return void destination.destroy()
        leave()
        resolve(upgrade.agreed(answered, destination))
      },
    })
  })

/** The body as it is, and what goes out of it is told. */
const counting = (
  body: null | Buffer | Readable,
  moved: (bytes: number) => void,
): null | Buffer | Readable => {
  if (body === null) return null
  if (Buffer.isBuffer(body)) {
    moved(body.length)
    return body
  }
  const counter = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      moved(chunk.length)
      done(null, chunk)
    },
  })
  body.on('error', (cause) => counter.destroy(cause))
  return body.pipe(counter)
}

const tooManyTrailers: Problem = {
  tag: 'destination-broken',
  cause: 'more trailers than an answer may have',
}

const tagOf = {
  unreachable: 'destination-unreachable',
  'no-http2': 'destination-broken',
  'identity-wrong': 'destination-untrusted',
  broken: 'destination-broken',
  timeout: 'destination-timeout',
  busy: 'overloaded',
  aborted: 'caller-gone',
} as const satisfies Record<UpstreamFaultKind, ProblemTag>

const problemOf = ({ kind, cause }: UpstreamFault): Problem =>
  cause instanceof DialFault ? cause.problem : { tag: tagOf[kind], cause }
