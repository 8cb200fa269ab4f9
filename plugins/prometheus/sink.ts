import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { metrics, type Meter, type MetricName } from '#contract/telemetry'

export type PrometheusSink = {
  readonly meter: Meter
  /** What Prometheus is answered. */
  readonly scrape: () => Promise<{ readonly contentType: string; readonly body: string }>
}

/** More series than this of one metric would be a bug; what comes after is counted together. */
const maxSeries = 20_000
const overflow = '__other__'

type Handle = (value?: number) => void
type Shape = { readonly labels: Readonly<Record<string, readonly string[] | 'configured'>> }

/**
 * Keeps the figures of the table in `contract/telemetry.ts` with prom-client, in a registry of its own. A label value that
 * the table does not allow becomes `__other__`: nothing that a caller can choose makes a new series.
 */
export const prometheusSink = (): PrometheusSink => {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 10 })
  const families = Object.fromEntries(
    Object.entries(metrics).map(([name, shape]) => [name, familyOf(registry, name, shape)]),
  ) as Record<MetricName, Family>
  const of = (name: MetricName, labels: object) =>
    families[name](labels as Readonly<Record<string, string>>)
  return {
    meter: {
      counter: (name, labels) => of(name, labels),
      gauge: (name, labels) => of(name, labels),
      histogram: (name, labels) => of(name, labels),
    },
    scrape: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  }
}

type Family = (labels: Readonly<Record<string, string>>) => Handle

/** One metric: gives the handle of a set of labels, the same for the same set. */
const familyOf = (
  registry: Registry,
  name: string,
  shape: (typeof metrics)[MetricName],
): Family => {
  const labelNames = Object.keys(shape.labels)
  const child = metricOf(registry, name, shape, labelNames)
  const handles = new Map<string, Handle>()
  return (given) => {
    let labels = allowed(shape, labelNames, given)
    let key = labelNames.map((label) => labels[label]).join('\0')
    if (!handles.has(key) && handles.size >= maxSeries) {
      labels = Object.fromEntries(labelNames.map((label) => [label, overflow]))
      key = overflow
    }
    const known = handles.get(key)
    if (known) return known
    const handle = child(labels)
    handles.set(key, handle)
    return handle
  }
}

const allowed = (
  { labels }: Shape,
  labelNames: readonly string[],
  given: Readonly<Record<string, string>>,
): Record<string, string> =>
  Object.fromEntries(
    labelNames.map((label) => {
      const values = labels[label]
      const value = given[label] ?? overflow
      return [label, values === 'configured' || values?.includes(value) ? value : overflow]
    }),
  )

const metricOf = (
  registry: Registry,
  name: string,
  shape: (typeof metrics)[MetricName],
  labelNames: readonly string[],
): ((labels: Readonly<Record<string, string>>) => Handle) => {
  const options = { name, help: shape.help, labelNames: [...labelNames], registers: [registry] }
  switch (shape.kind) {
    case 'counter': {
      const counter = new Counter(options)
      return (labels) => {
        const series = counter.labels(labels)
        return (by = 1) => series.inc(by)
      }
    }
    case 'gauge': {
      const gauge = new Gauge(options)
      return (labels) => {
        const series = gauge.labels(labels)
        return (value = 0) => series.set(value)
      }
    }
    case 'histogram': {
      const histogram = new Histogram({ ...options, buckets: [...shape.buckets] })
      return (labels) => {
        const series = histogram.labels(labels)
        return (value = 0) => series.observe(value)
      }
    }
    default:
      return shape satisfies never
  }
}
