import type { ServerResponse } from 'node:http'
import type { Problem, ProblemTag } from '#contract/problem'
import type { QuotaHeaders } from '#contract/quota'
import type {
  UpstreamControl,
  UpstreamFault,
  UpstreamFaultKind,
  UpstreamHandler,
} from '#http/upstream-client'
import type { Sent } from '../answer.ts'
import { answerHeaders } from './answer-headers.ts'
import { inspectAnswer } from './inspect-answer.ts'
import type { Admitted } from './pipeline.ts'
import { upstreamHeaders } from './upstream-headers.ts'

/** How a request went at its upstream, for the figures. */
export type UpstreamResult = Exclude<UpstreamFaultKind, 'aborted'> | 'caller-gone' | 'ok'

export type Forwarding = {
  readonly quotaHeaders: QuotaHeaders
  /** Writes the refusal, if one can still be written. */
  readonly refuse: (problem: Problem) => Sent
  readonly ended: (upstream: string, result: UpstreamResult) => void
}

const problemOf = {
  unreachable: 'upstream-unreachable',
  'identity-wrong': 'upstream-identity-wrong',
  broken: 'upstream-broken',
  timeout: 'upstream-timeout',
  busy: 'upstream-busy',
  aborted: 'caller-gone',
} as const satisfies Record<UpstreamFaultKind, ProblemTag>

/**
 * Passes an admitted request to its endpoint and the answer back, streaming both ways. Resolves once the last byte is
 * through or cannot come; never rejects.
 *
 * The caller's leaving cancels the request; a caller that does not read holds the upstream back.
 */
export const forward = async (
  request: Admitted,
  res: ServerResponse,
  forwarding: Forwarding,
): Promise<Sent> => {
  const { upstream } = request.route
  try {
    const { sent, result } = await relay(request, res, forwarding)
    forwarding.ended(upstream.name, result)
    return sent
  } finally {
    upstream.done()
  }
}

type Relayed = { readonly sent: Sent; readonly result: UpstreamResult }

const relay = (
  request: Admitted,
  res: ServerResponse,
  { quotaHeaders, refuse }: Forwarding,
): Promise<Relayed> =>
  new Promise((resolve) => {
    const { head, route, body, endpoint, inspection } = request
    const upstream = route.upstream.config
    let control: UpstreamControl | undefined
    let bytesOut = 0
    let stopped: Problem | undefined
    let isSettled = false

    const settle = (sent: Sent, result: UpstreamResult) => {
      if (isSettled) return
      isSettled = true
      clearTimeout(deadline)
      res.off('close', callerGone).off('drain', resume)
      resolve({ sent, result })
    }
    const stop = (problem: Problem) => {
      stopped ??= problem
      control?.abort(new Error(problem.tag))
    }
    const callerGone = () => stop({ tag: 'caller-gone' })
    const resume = () => control?.resume()
    const tooLong = () =>
      stop({ tag: 'upstream-timeout', cause: `${route.config.totalTimeoutMs} ms are over` })
    const deadline = route.config.totalTimeoutMs
      ? setTimeout(tooLong, route.config.totalTimeoutMs)
      : undefined
    const failed = (fault: UpstreamFault) => {
      const problem = stopped ?? body.fault() ?? { tag: problemOf[fault.kind], cause: fault.cause }
      const sent = { ...refuse(problem), bytesOut, problem }
      settle(
        sent,
        problem.tag === 'caller-gone' || fault.kind === 'aborted' ? 'caller-gone' : fault.kind,
      )
    }

    if (res.destroyed)
      return settle({ status: 499, bytesOut, problem: { tag: 'caller-gone' } }, 'caller-gone')
    const taken = body.take(route.config.maxBodyBytes)
    const tooLarge = body.fault()
    if (tooLarge) return settle({ ...refuse(tooLarge), problem: tooLarge }, 'caller-gone')
    res.once('close', callerGone).on('drain', resume)
    /** The service answered, but its answer must not go out. */
    const withhold = (problem: Problem) => {
      settle({ ...refuse(problem), bytesOut, problem }, 'ok')
      stop(problem)
    }
    const answering: UpstreamHandler = {
      onStart: (given) => {
        control = given
      },
      onHead: (status, headers) => {
        res.writeHead(status, answerHeaders(headers, request, quotaHeaders))
      },
      onData: (chunk) => {
        bytesOut += chunk.length
        if (!res.write(chunk)) control?.pause()
      },
      onEnd: () => {
        res.off('close', callerGone)
        const done = () => {
          res.off('finish', done).off('close', done)
          settle({ status: res.statusCode, bytesOut }, 'ok')
        }
        res.once('finish', done).once('close', done)
        res.end()
      },
      onError: failed,
    }
    endpoint.client.dispatch(
      {
        method: head.method,
        path: head.path + head.query,
        authority: upstream.host ?? authorityOf(head),
        headers: upstreamHeaders(request),
        body: taken,
        headersTimeoutMs: upstream.headersTimeoutMs,
        idleTimeoutMs: upstream.idleTimeoutMs,
      },
      inspection?.answers ? inspectAnswer(inspection, answering, withhold) : answering,
    )
  })

const authorityOf = ({ host, port }: Admitted['head']): string =>
  port === undefined ? host : `${host}:${port}`
