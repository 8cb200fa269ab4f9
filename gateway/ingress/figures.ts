import type { ProblemTag } from '#contract/problem'
import type { LabelsOf, Meter } from '#contract/telemetry'
import type { Ending } from '../answer.ts'
import type { Watch } from '../compose.ts'
import type { Admitted } from './pipeline.ts'
import type { Received } from './received.ts'
import type { UpstreamResult } from './relay.ts'

type Outcome = LabelsOf<'sallyport_requests_total'>['outcome']
type StatusClass = LabelsOf<'sallyport_requests_total'>['status_class']

/** Where a request belongs that never had a route. */
const noRoute = { id: 'none', team: 'none' }

export type IngressFigures = ReturnType<typeof ingressFigures>

/** Counts and times what goes in. Handles are kept by what they are for: a label set is looked up, never built anew. */
export const ingressFigures = (meter: Meter, stepNames: readonly string[]) => {
  const stepSeconds = new Map(
    stepNames.map((step) => [
      step,
      meter.histogram('sallyport_step_duration_seconds', { direction: 'ingress', step }),
    ]),
  )
  const routes = new Map<string, RouteFigures>()
  const refusals = new Map<string, Map<ProblemTag, () => void>>()
  const upstreams = new Map<string, Map<UpstreamResult, () => void>>()

  const watch: Watch = (step, elapsedMs) => stepSeconds.get(step)?.(elapsedMs / 1000)

  const routeFigures = (route: string, team: string): RouteFigures => {
    const known = routes.get(route)
    if (known?.team === team) return known
    const labels = { direction: 'ingress', route } as const
    const seconds = meter.histogram('sallyport_request_duration_seconds', labels)
    const fresh = { team, seconds, counts: new Map<Outcome, (() => void)[]>() }
    routes.set(route, fresh)
    return fresh
  }

  const ended = (
    { facts, step, sent, durationMs }: Ending<Received, Admitted>,
    outcome: Outcome,
  ) => {
    const { id: route, team } = facts.route ?? noRoute
    const { seconds, counts } = routeFigures(route, team)
    const hundreds = Math.trunc(sent.status / 100)
    let byClass = counts.get(outcome)
    if (!byClass) counts.set(outcome, (byClass = []))
    const count = (byClass[hundreds] ??= meter.counter('sallyport_requests_total', {
      direction: 'ingress',
      route,
      team,
      outcome,
      status_class: `${hundreds}xx` as StatusClass,
    }))
    count()
    seconds(durationMs / 1000)
    const problem = sent.problem?.tag
    if (problem === undefined) return
    let ofStep = refusals.get(step)
    if (!ofStep) refusals.set(step, (ofStep = new Map()))
    let refused = ofStep.get(problem)
    if (!refused) {
      const labels = { direction: 'ingress', step, problem } as const
      ofStep.set(problem, (refused = meter.counter('sallyport_refusals_total', labels)))
    }
    refused()
  }

  const upstreamEnded = (upstream: string, result: UpstreamResult) => {
    let byResult = upstreams.get(upstream)
    if (!byResult) upstreams.set(upstream, (byResult = new Map()))
    let count = byResult.get(result)
    if (!count) {
      count = meter.counter('sallyport_upstream_requests_total', { upstream, result })
      byResult.set(result, count)
    }
    count()
  }

  return { watch, ended, upstreamEnded }
}

type RouteFigures = {
  readonly team: string
  readonly seconds: (value: number) => void
  /** By outcome, and by the first digit of the status. */
  readonly counts: Map<Outcome, (() => void)[]>
}
