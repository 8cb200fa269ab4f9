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
  const handles = new Map<string, (value?: number) => void>()
  const handle = <T extends (value?: number) => void>(key: string, make: () => T): T => {
    let known = handles.get(key)
    if (!known) handles.set(key, (known = make()))
    return known as T
  }

  const watch: Watch = (step, elapsedMs) => stepSeconds.get(step)?.(elapsedMs / 1000)

  const ended = (
    { facts, step, sent, durationMs }: Ending<Received, Admitted>,
    outcome: Outcome,
  ) => {
    const { id: route, team } = facts.route ?? noRoute
    const statusClass = `${Math.trunc(sent.status / 100)}xx` as StatusClass
    handle(`requests ${route} ${outcome} ${statusClass}`, () =>
      meter.counter('sallyport_requests_total', {
        direction: 'ingress',
        route,
        team,
        outcome,
        status_class: statusClass,
      }),
    )()
    handle(`seconds ${route}`, () => {
      const observe = meter.histogram('sallyport_request_duration_seconds', {
        direction: 'ingress',
        route,
      })
      return (value = 0) => observe(value)
    })(durationMs / 1000)
    const problem = sent.problem?.tag
    if (problem)
      handle(`refusals ${step} ${problem}`, () =>
        meter.counter('sallyport_refusals_total', { direction: 'ingress', step, problem }),
      )()
  }

  const upstreamEnded = (upstream: string, result: UpstreamResult) =>
    handle(`upstream ${upstream} ${result}`, () =>
      meter.counter('sallyport_upstream_requests_total', { upstream, result }),
    )()

  return { watch, ended, upstreamEnded }
}
