import type { metrics, MetricName } from '#contract/telemetry'
import { counterSeries, gaugeSeries, histogramSeries, type Sample, type Series } from './series.ts'

/** What stands for a label value that the table does not know, or for which there is no more room. */
export const otherValue = '__other__'

const maxZeroSeries = 100

export type FamilyOptions = {
  /** Bound of the lines that one metric may have. */
  readonly maxLines: number
  /** `throw` is for tests: a value that is not in the table is a bug. */
  readonly unknownLabels: 'count-as-other' | 'throw'
}

type Shape = (typeof metrics)[MetricName]
type Labels = Readonly<Record<string, string>>

/** One metric of the table with all its series. */
export type Family = {
  readonly handle: (labels: Labels) => Series['record']
  readonly samples: () => readonly Sample[]
}

/**
 * Gives the handle of a set of labels, the same for the same set. Nothing that a caller can choose makes a new series:
 * values outside of a closed set count as `__other__`, and so do configured ids once there are too many.
 *
 * Metrics whose labels are all closed sets begin with every series at 0, so that a first event is seen as one.
 */
export const metricFamily = (name: MetricName, shape: Shape, options: FamilyOptions): Family => {
  const allowed = Object.entries<readonly string[] | 'configured'>(shape.labels)
  const newSeries = seriesOf(name, shape)
  const linesEach = shape.kind === 'histogram' ? shape.buckets.length + 3 : 1
  const maxSeries = Math.max(1, Math.floor(options.maxLines / linesEach))
  const all = new Map<string, Series>()

  const find = (labels: Labels): Series => {
    const key = keyOf(allowed, labels)
    const known = all.get(key)
    if (known) return known
    const safe = safeLabels(name, allowed, labels, {
      ...options,
      isFull: all.size >= maxSeries,
    })
    const safeKey = keyOf(allowed, safe)
    const series = all.get(safeKey) ?? newSeries(safe)
    all.set(safeKey, series)
    return series
  }

  if (shape.kind !== 'gauge') for (const labels of closedSets(allowed)) find(labels)
  return {
    handle: (labels) => find(labels).record,
    samples: () => [...all.values()].flatMap((series) => series.samples()),
  }
}

type Allowed = readonly (readonly [label: string, values: readonly string[] | 'configured'])[]

const seriesOf = (name: string, shape: Shape): ((labels: Labels) => Series) => {
  switch (shape.kind) {
    case 'counter':
      return counterSeries
    case 'gauge':
      return gaugeSeries
    case 'histogram':
      return histogramSeries(name, shape.buckets)
    default:
      return shape satisfies never
  }
}

const keyOf = (allowed: Allowed, labels: Labels): string => {
  let key = ''
  for (const [label] of allowed) key += `${labels[label]}\0`
  return key
}

const safeLabels = (
  name: string,
  allowed: Allowed,
  labels: Labels,
  { unknownLabels, isFull }: FamilyOptions & { readonly isFull: boolean },
): Labels =>
  Object.fromEntries(
    allowed.map(([label, values]) => {
      const value = labels[label]
      const isKnown =
        value !== undefined && (values === 'configured' ? !isFull : values.includes(value))
      if (!isKnown && unknownLabels === 'throw')
        throw new TypeError(`${name} has no ${label} ${JSON.stringify(value)}`)
      return [label, isKnown ? value : otherValue]
    }),
  )

/** Every set of labels there can be, unless some are configured or they are many. */
const closedSets = (allowed: Allowed): readonly Labels[] => {
  let sets: readonly Labels[] = [{}]
  for (const [label, values] of allowed) {
    if (values === 'configured') return []
    sets = sets.flatMap((set) => values.map((value) => ({ ...set, [label]: value })))
  }
  return sets.length > maxZeroSeries ? [] : sets
}
