import type { Meter } from '#contract/telemetry'
import type { Listener } from '#http/listen'
import type { EgressRunning } from './egress/run.ts'

const figuresEveryMs = 5000

export type Shown = {
  readonly edge: Listener
  readonly admin: Listener
  readonly egressAt: EgressRunning | undefined
  /** Requests under way. */
  readonly open: () => number
}

/**
 * Sets the gauges that nobody sets when they change, every five seconds.
 *
 * @returns What ends that.
 */
export const showFigures = (meter: Meter, { edge, admin, egressAt, open }: Shown): (() => void) => {
  const showOpen = meter.gauge('sallyport_open', { direction: 'ingress' })
  const showIngress = meter.gauge('sallyport_connections', { listener: 'ingress' })
  const showAdmin = meter.gauge('sallyport_connections', { listener: 'admin' })
  const showOut = egressAt && {
    open: meter.gauge('sallyport_open', { direction: 'egress' }),
    connections: meter.gauge('sallyport_connections', { listener: 'egress' }),
  }
  const timer = setInterval(() => {
    showOpen(open())
    showIngress(edge.connections())
    showAdmin(admin.connections())
    if (!egressAt || !showOut) return
    showOut.open(egressAt.live.size())
    showOut.connections(egressAt.connections())
  }, figuresEveryMs).unref()
  return () => clearInterval(timer)
}
