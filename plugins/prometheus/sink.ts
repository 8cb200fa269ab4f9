import { collectDefaultMetrics, Gauge, Registry, type Metric } from 'prom-client'
import { metrics, type Meter, type MetricName } from '#contract/telemetry'
import { metricFamily, type Family, type FamilyOptions } from './family.ts'

export type Scrape = { readonly contentType: string; readonly body: string }

export type PrometheusSink = {
  readonly meter: Meter
  /** What Prometheus is answered. Those who ask at the same time get the same answer: a large one takes its time. */
  readonly scrape: () => Promise<Scrape>
  /** The same as plain data, to be added up elsewhere. */
  readonly figures: () => Promise<Figures>
}

/** All metrics of one process, as plain data. */
export type Figures = readonly object[]

export type PrometheusOptions = Partial<FamilyOptions> & {
  /** Memory, CPU, event loop and garbage collection of the process. */
  readonly processMetrics?: boolean
}

/**
 * Keeps the figures of the table in `contract/telemetry.ts` in a registry of its own, never in prom-client's global one.
 *
 * prom-client keeps the figures of the process and writes the text. Ours are kept by ourselves and handed to it when it
 * asks: a histogram of prom-client hashes its labels at each observation, and a request makes a dozen (6 µs, ours 0.2).
 */
export const prometheusSink = ({
  maxLines = 10_000,
  unknownLabels = 'count-as-other',
  processMetrics = true,
}: PrometheusOptions = {}): PrometheusSink => {
  const registry = new Registry() // never `setContentType`: on a registry in use it renames counters for good
  if (processMetrics) collectProcessMetrics(registry)

  const families = new Map<string, Family>()
  for (const [name, shape] of Object.entries(metrics) as [MetricName, Shape][]) {
    const family = metricFamily(name, shape, { maxLines, unknownLabels })
    families.set(name, family)
    register(registry, name, shape, family)
  }
  const handle = (name: string, labels: object) => {
    const family = families.get(name)
    if (!family) throw new TypeError(`there is no metric ${name}`)
    return family.handle(labels as Readonly<Record<string, string>>)
  }

  let underWay: Promise<Scrape> | undefined
  const render = async (): Promise<Scrape> => ({
    contentType: registry.contentType,
    body: (await registry.metrics()).replaceAll(/ Nan$/gm, ' NaN'), // as the format spells it
  })
  return {
    meter: { counter: handle, gauge: handle, histogram: handle },
    figures: () => registry.getMetricsAsJSON(),
    scrape: () =>
      (underWay ??= render().finally(() => {
        underWay = undefined
      })),
  }
}

type Shape = (typeof metrics)[MetricName]

/** A registry asks its metrics for a name and for `get()` alone; its types want one of its own classes. */
const register = (
  registry: Registry,
  name: string,
  { kind, help, ...shape }: Shape,
  family: Family,
): void => {
  const aggregator = 'ofWorkers' in shape ? shape.ofWorkers : 'sum'
  const get = async () => ({ name, help, type: kind, aggregator, values: family.samples() })
  registry.registerMetric({ name, help, get } as unknown as Metric)
}

const collectProcessMetrics = (registry: Registry): void => {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 10 })
  let before = performance.eventLoopUtilization()
  const utilization = new Gauge({
    name: 'nodejs_eventloop_utilization_ratio',
    help: 'Share of its time that the event loop was busy since the last scrape.',
    registers: [registry],
    collect: () => {
      const now = performance.eventLoopUtilization()
      utilization.set(performance.eventLoopUtilization(now, before).utilization)
      before = now
    },
  })
}
