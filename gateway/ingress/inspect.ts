import { pass } from '#contract/problem'
import type { Inspection } from '#contract/inspection'
import type { RequestHead } from '#contract/request-head'
import type { Step } from '#contract/step'
import type { Origin } from '#http/forwarded'
import type { CompiledRoute } from './compiled-route.ts'
import type { Received } from './received.ts'

type Needs = Pick<Received, 'raw' | 'body' | 'decisionId'> & {
  readonly head: RequestHead
  readonly origin: Origin
  readonly route: CompiledRoute
}

/**
 * Asks the firewall about the head and, if there is one, a bounded beginning of the body, which stays where it is.
 *
 * @returns A step refusing with `attack-suspected`, or with what keeps the body from being read.
 */
export const inspect: Step<Needs, Inspection | undefined> = ({
  raw,
  head,
  origin,
  route,
  body,
  decisionId,
}) =>
  route.inspect
    ? route.inspect({
        head,
        address: origin.address,
        decisionId,
        protocol: `HTTP/${raw.httpVersion}`,
        // The service may have to answer before the caller sends anything, and its messages are no text.
        hasBody: body.expected && !(route.config.grpc && head.isGrpc),
        peek: body.peek,
      })
    : pass(undefined)
