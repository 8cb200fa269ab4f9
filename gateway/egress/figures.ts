import type { ServerNameVerdict, TunnelEnd } from '#contract/audit-event'
import type { ProblemTag } from '#contract/problem'
import type { LabelsOf, Meter } from '#contract/telemetry'
import type { Ending } from '../answer.ts'
import type { Watch } from '../compose.ts'
import type { Admitted } from './pipeline.ts'
import type { EgressReceived } from './received.ts'

type Outcome = LabelsOf<'sallyport_requests_total'>['outcome']
type StatusClass = LabelsOf<'sallyport_requests_total'>['status_class']

const noRule = { rule: 'none', team: 'none' }

export type EgressFigures = ReturnType<typeof egressFigures>

/** Counts and times what goes out. The sink gives the same handle for the same labels, so none is kept here. */
export const egressFigures = (meter: Meter, stepNames: readonly string[]) => {
  const stepSeconds = new Map(
    stepNames.map((step) => [
      step,
      meter.histogram('sallyport_step_duration_seconds', { direction: 'egress', step }),
    ]),
  )
  const watch: Watch = (step, elapsedMs) => stepSeconds.get(step)?.(elapsedMs / 1000)

  const countCredential = (
    { decision, credential }: Partial<Admitted>,
    problem: ProblemTag | undefined,
  ) => {
    if (decision?.credential === undefined) return
    const failed = problem === 'credential-unavailable' || problem === 'credential-withheld'
    if (!credential && !failed) return // it was stopped before
    meter.counter('sallyport_egress_credentials_total', {
      credential: decision.credential,
      result: failed
        ? 'failed'
        : problem === 'credential-returned'
          ? 'returned'
          : credential?.fromCache === false
            ? 'fetched'
            : 'held',
    })()
  }

  const ended = (
    { facts, sent, durationMs }: Ending<EgressReceived, Admitted>,
    step: string,
    outcome: Outcome,
  ) => {
    const { rule: route, team } = facts.decision ?? noRule
    meter.counter('sallyport_requests_total', {
      direction: 'egress',
      route,
      team,
      outcome,
      status_class: `${Math.trunc(sent.status / 100)}xx` as StatusClass,
    })()
    meter.histogram('sallyport_request_duration_seconds', { direction: 'egress', route })(
      durationMs / 1000,
    )
    const problem = sent.problem?.tag
    if (problem) meter.counter('sallyport_refusals_total', { direction: 'egress', step, problem })()
    countCredential(facts, problem)
    if (facts.decision)
      meter.counter('sallyport_egress_decisions_total', {
        rule: route,
        decision: facts.decision.wouldRefuse ? 'would-refuse' : 'allowed',
      })()
    else if (sent.problem?.tag === 'destination-denied') {
      const { rule } = sent.problem.cause as { readonly rule: string }
      meter.counter('sallyport_egress_decisions_total', { rule, decision: 'refused' })()
    }
  }

  return {
    watch,
    ended,
    serverName: (result: ServerNameVerdict) =>
      meter.counter('sallyport_egress_server_names_total', { result })(),
    tunnelEnded: (rule: string, closedBy: TunnelEnd) =>
      meter.counter('sallyport_egress_tunnels_total', { rule, closed_by: closedBy })(),
    moved: (rule: string, out: number, back: number) => {
      meter.counter('sallyport_egress_bytes_total', { rule, way: 'out' })(out)
      meter.counter('sallyport_egress_bytes_total', { rule, way: 'in' })(back)
    },
  }
}
