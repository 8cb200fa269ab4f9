import { pass, refuse, type Problem } from '#contract/problem'
import { headerOf, type RequestHead } from '#contract/request-head'
import type { Step } from '#contract/step'
import type { CallerResponse } from '#http/caller'
import type { RawHead } from '#http/raw-gate'
import type { Sent } from '../answer.ts'
import { begin, type KnownOf, type Way } from '../compose.ts'
import type { CompiledRoute } from './compiled-route.ts'
import type { RouteTable } from './find-route.ts'
import type { IngressParts } from './parts.ts'
import { limitAddress, limitRoute } from './limit.ts'
import { recordable } from './pipeline.ts'
import { quarantinedHere } from './quarantined.ts'
import { findOrigin, readHead } from './receive.ts'
import type { Received } from './received.ts'

/**
 * The way of what a browser asks before a request of another origin (a preflight, Fetch standard §3.2.2), top to bottom. It
 * carries no credentials, so nobody has to say who they are; what passes is answered here.
 */
const preflight = (parts: IngressParts, find: RouteTable['find']) =>
  begin<Received>()
    .guard('audit', recordable(parts.audit))
    .guard('load', parts.load)
    .learn('head', readHead(parts.gate))
    .learn('origin', findOrigin(parts.origin))
    .learn('addressQuota', limitAddress(parts.addressLimit))
    .learn('route', find) // by the method that is asked about
    .guard('cut off here', quarantinedHere(parts.quarantine))
    .learn('routeQuota', limitRoute)
    .learn('cors', judge) // what the browser is told

/** All that is known of a preflight that is answered. */
type Preflighted = KnownOf<ReturnType<typeof preflight>>

/** What answers the questions that browsers ask before a request of another origin. */
export type Preflights = {
  /** Whether that is one, and about a route with `cors`. All others go the way of every request. */
  readonly isOne: (raw: RawHead) => boolean
  readonly way: Way<Received, Preflighted>
}

/** @returns undefined where no route has `cors`. */
export const preflights = (parts: IngressParts): Preflights | undefined => {
  if (!parts.routes.some(({ cors }) => cors !== undefined)) return undefined
  const find = askedRoute(parts.findRoute)
  return {
    isOne: (raw) => {
      const head = parts.gate(raw)
      if (!head.ok || headerOf(head.value, 'origin') === undefined) return false
      if (headerOf(head.value, methodHeader) === undefined) return false
      const route = find({ head: head.value })
      return !(route instanceof Promise) && route.ok && route.value.cors !== undefined
    },
    way: preflight(parts, find),
  }
}

const methodHeader = 'access-control-request-method'

/** The route of the request that is asked about. A browser does not say what headers of ours it will have. */
const askedRoute =
  (find: RouteTable['find']): RouteTable['find'] =>
  ({ head }) =>
    find({ head: { ...head, method: headerOf(head, methodHeader) ?? '' } })

/** Refuses with `origin-refused` an origin whose pages may not call this route. */
const judge: Step<
  { readonly head: RequestHead; readonly route: CompiledRoute },
  readonly string[]
> = ({ head, route }) => {
  const told = route.cors?.preflight(headerOf(head, 'origin') ?? '')
  return told ? pass(told) : refuse('origin-refused', { headers: { vary: 'Origin' } })
}

/** Answers it. There is no body; the answer itself says what the browser may do. */
export const sendPreflight = (
  res: CallerResponse,
  { cors, decisionId }: Preflighted,
): Promise<Sent> =>
  new Promise((resolve) => {
    const sent = { status: 204, bytesOut: 0 }
    const done = () => {
      res.off('finish', done).off('close', done)
      resolve(res.writableFinished ? sent : { ...sent, problem: { tag: 'caller-gone' } })
    }
    res.once('finish', done).once('close', done)
    if (res.destroyed) return done()
    res.writeHead(204, [...cors, 'x-sallyport-decision-id', decisionId])
    res.end()
  })

/** A page that may read the answers of a route may read why it was refused, too. */
export const readable = (
  problem: Problem,
  { head, route }: { readonly head?: RequestHead; readonly route?: CompiledRoute },
): Problem => {
  if (!head || !route?.cors) return problem
  const ours = route.cors.answer(headerOf(head, 'origin'))
  const headers: Record<string, string> = { ...problem.headers }
  for (let i = 0; i + 1 < ours.length; i += 2) headers[ours[i] ?? ''] = ours[i + 1] ?? ''
  return { ...problem, headers }
}
