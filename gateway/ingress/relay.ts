import type { Duplex } from 'node:stream'
import { grpcStatusIn } from '#contract/grpc'
import type { Problem, ProblemTag } from '#contract/problem'
import type { QuotaHeaders } from '#contract/quota'
import type { CallerResponse } from '#http/caller'
import { idleWatch } from '#http/idle-watch'
import { faultOf } from '#http/socket-fault'
import { answerTrailers } from '#http/trailers'
import type {
  UpstreamControl,
  UpstreamFault,
  UpstreamFaultKind,
  UpstreamHandler,
} from '#http/upstream-client'
import type { Sent } from '../answer.ts'
import type { Cut } from '../cut.ts'
import { answerHeaders } from './answer-headers.ts'
import type { answerWriter } from './answer-out.ts'
import { inspectAnswer } from './inspect-answer.ts'
import type { Admitted } from './pipeline.ts'
import type { upstreamHeaders } from './upstream-headers.ts'

/** How a request went at its upstream, for the figures. */
export type UpstreamResult = Exclude<UpstreamFaultKind, 'aborted'> | 'caller-gone' | 'ok'

export type Relaying = {
  readonly quotaHeaders: QuotaHeaders
  /** Writes the refusal, if one can still be written. */
  readonly refuse: (problem: Problem) => Sent
  readonly cut: Cut
  readonly answerOut: ReturnType<typeof answerWriter>
  readonly headersOf: ReturnType<typeof upstreamHeaders>
}

export type Relayed = { readonly sent: Sent; readonly result: UpstreamResult }

/** Takes over the connection of an upstream that has agreed to an upgrade, and says how it went. */
export type Agreed = (
  headers: readonly string[],
  upstream: Duplex,
  settle: (relayed: Relayed) => void,
) => void

const problemOf = {
  unreachable: 'upstream-unreachable',
  'no-http2': 'upstream-without-http2',
  'identity-wrong': 'upstream-identity-wrong',
  broken: 'upstream-broken',
  timeout: 'upstream-timeout',
  busy: 'upstream-busy',
  aborted: 'caller-gone',
} as const satisfies Record<UpstreamFaultKind, ProblemTag>

/**
 * Carries one request to its endpoint and the answer back. The caller's leaving cancels the request; a caller that does
 * not read holds the upstream back.
 *
 * @param settled Told how it went, once.
 */
export const relay = (
  request: Admitted,
  res: CallerResponse,
  { quotaHeaders, refuse, cut, answerOut, headersOf }: Relaying,
  settled: (relayed: Relayed) => void,
  agreed?: Agreed,
): void => {
  const { head, route, body, endpoint, inspection } = request
  const upstream = route.upstream.config
  let control: UpstreamControl | undefined
  let stopped: Problem | undefined
  let isSettled = false
  let isAnswered = false
  let isHeldBack = false
  let grpcStatus: number | undefined
  const { grpc } = head.isGrpc ? route.config : noGrpc
  let movedBytes = 0
  const moved = () => movedBytes + body.bytesIn()

  const out = answerOut(res, (cause) => withhold({ tag: 'internal', cause }))
  /** Of an answer that has begun, what went out of it counts. */
  const refused = (problem: Problem): Sent => {
    const sent = refuse(problem)
    return { ...sent, bytesOut: sent.bytesOut + out.bytesOut(), problem }
  }

  const leave = () => {
    isSettled = true
    clearTimeout(deadline)
    idle?.stop()
    res.off('close', closed)
    if (isHeldBack) res.off('drain', resume)
  }
  const settle = (sent: Sent, result: UpstreamResult) => {
    if (isSettled) return
    leave()
    settled({ sent, result })
  }
  const stop = (problem: Problem) => {
    stopped ??= problem
    if (isAnswered) res.destroy() // the upstream is done with it, the caller still reads
    else control?.abort(new Error(problem.tag))
  }
  /** The caller has left, or it has all of its answer. */
  const closed = () => {
    if (!isAnswered) return stop(goneOf(res))
    const problem = stopped ?? (res.writableFinished ? undefined : goneOf(res))
    if (problem && !res.headersSent) return settle(refused(problem), 'ok') // it waited to go out
    const sent = {
      status: res.statusCode,
      bytesOut: out.bytesOut(),
      ...(grpcStatus === undefined ? {} : { grpcStatus }),
    }
    settle(problem ? { ...sent, problem } : sent, 'ok')
  }
  const resume = () => {
    isHeldBack = false
    control?.resume()
  }
  const tooLong = () =>
    stop({ tag: 'upstream-timeout', cause: `${route.config.totalTimeoutMs} ms are over` })
  const deadline = route.config.totalTimeoutMs
    ? setTimeout(tooLong, route.config.totalTimeoutMs)
    : undefined
  const idle = grpc?.idleTimeoutMs
    ? idleWatch(grpc.idleTimeoutMs, moved, () => stop({ tag: 'connection-idle' }))
    : undefined
  const failed = (fault: UpstreamFault) => {
    const why = stopped ?? body.fault()
    if (!why && mayMoveOn(fault) && endpoint.moveOn()) return send()
    const problem = why ?? { tag: problemOf[fault.kind], cause: fault.cause }
    settle(refused(problem), resultOf(fault, problem))
  }
  /** Elsewhere the same request does no harm: nothing of it arrived, and nothing of it is gone. */
  const mayMoveOn = ({ kind, unsent }: UpstreamFault) =>
    unsent &&
    worthAnother.has(kind) &&
    idempotent.has(head.method) &&
    (taken === null || Buffer.isBuffer(taken))

  if (res.destroyed) {
    const problem = goneOf(res)
    return settle({ ...refuse(problem), problem }, 'caller-gone')
  }
  const taken = body.take(route.config.maxBodyBytes, grpc !== undefined)
  const tooLarge = body.fault()
  if (tooLarge) return settle({ ...refuse(tooLarge), problem: tooLarge }, 'caller-gone')
  res.on('close', closed)
  cut.onCut(stop)
  /** The service answered, but its answer must not go out. */
  const withhold = (problem: Problem) => {
    settle(refused(problem), 'ok')
    stop(problem)
  }
  const answering: UpstreamHandler = {
    onStart: (given) => {
      control = given
    },
    onHead: (status, headers) => {
      movedBytes += 1
      if (head.isGrpc) grpcStatus = grpcStatusIn(headers)
      out.head(status, answerHeaders(headers, request, quotaHeaders))
    },
    onData: (chunk) => {
      movedBytes += chunk.length
      if (out.data(chunk) || isHeldBack) return
      isHeldBack = true
      res.once('drain', resume)
      control?.pause()
    },
    onEnd: (given) => {
      const trailers = head.acceptsTrailers ? answerTrailers(given) : []
      if (trailers === undefined) return failed(tooManyTrailers)
      if (head.isGrpc) grpcStatus ??= grpcStatusIn(given)
      isAnswered = true
      out.end(trailers)
    },
    onError: failed,
  }
  const send = () => {
    const ours = headersOf(request)
    const asked = {
      method: head.method,
      path: head.path + head.query,
      authority: upstream.host ?? authorityOf(head),
      headers: ours.headers,
      sharedHeaders: ours.sharedHeaders,
      body: taken,
      needsHttp2: head.isGrpc === true,
      headersTimeoutMs: upstream.headersTimeoutMs,
      idleTimeoutMs: grpc ? 0 : upstream.idleTimeoutMs,
    }
    const handler = inspection?.answers ? inspectAnswer(inspection, answering, withhold) : answering
    if (!agreed) return endpoint.client.dispatch(asked, handler)
    endpoint.upgrades().upgrade(asked, {
      ...handler,
      onUpgrade: (headers, socket) => {
        leave()
        if (stopped) return socket.destroy()
        agreed(headers, socket, settled)
      },
    })
  }
  send()
}

const noGrpc = { grpc: undefined } as const
const tooManyTrailers: UpstreamFault = {
  kind: 'broken',
  cause: 'more trailers than an answer may have',
  unsent: false,
}

/** Why the caller's connection is gone: it left, or it was we who ended it, for what came behind this request. */
const goneOf = ({ req }: CallerResponse): Problem => ({
  tag: faultOf(req) ?? 'caller-gone',
})

/** Of these a second one changes nothing more (RFC 9110 §9.2.2). */
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])
/** Not those that were too slow or too many: another endpoint would get the load of this one. */
const worthAnother: ReadonlySet<UpstreamFaultKind> = new Set([
  'unreachable',
  'identity-wrong',
  'broken',
])

const resultOf = ({ kind }: UpstreamFault, { tag }: Problem): UpstreamResult => {
  if (tag === 'upstream-timeout') return 'timeout'
  return tag === 'caller-gone' || kind === 'aborted' ? 'caller-gone' : kind
}

const authorityOf = ({ host, port }: Admitted['head']): string =>
  port === undefined ? host : `${host}:${port}`
