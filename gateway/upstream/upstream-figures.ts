import type { Meter } from '#contract/telemetry'
import type { TargetState } from './target.ts'

const states = ['available', 'ejected', 'unhealthy'] as const satisfies readonly TargetState[]

/** Figures of one upstream's endpoints. */
export const upstreamFigures = (meter: Meter, upstream: string) => {
  const gauges = states.map(
    (state) => [state, meter.gauge('sallyport_upstream_endpoints', { upstream, state })] as const,
  )
  const checks = {
    ok: meter.counter('sallyport_upstream_health_checks_total', { upstream, result: 'ok' }),
    failed: meter.counter('sallyport_upstream_health_checks_total', { upstream, result: 'failed' }),
  }
  const retries = {
    sent: meter.counter('sallyport_upstream_retries_total', { upstream, result: 'sent' }),
    'no-budget': meter.counter('sallyport_upstream_retries_total', {
      upstream,
      result: 'no-budget',
    }),
  }
  const ejections = meter.counter('sallyport_upstream_ejections_total', { upstream })
  return {
    ejected: () => ejections(),
    retried: (result: keyof typeof retries) => retries[result](),
    checked: (result: keyof typeof checks) => checks[result](),
    states: (current: readonly TargetState[]) => {
      for (const [state, show] of gauges) show(current.filter((one) => one === state).length)
    },
  }
}
