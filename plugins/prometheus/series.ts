/** One line of the text format. */
export type Sample = {
  /** Where it is not the metric's own. */
  readonly metricName?: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** One set of labels of one metric: takes figures, and gives them back when Prometheus asks. */
export type Series = {
  readonly record: (value?: number) => void
  readonly samples: () => readonly Sample[]
}

type Labels = Readonly<Record<string, string>>

/** What is not a number, or would count down, is left out: a figure must not break a request. */
export const counterSeries = (labels: Labels): Series => {
  let value = 0
  return {
    record: (by = 1) => {
      if (by >= 0) value += by
    },
    samples: () => [{ labels, value }],
  }
}

export const gaugeSeries = (labels: Labels): Series => {
  let value = 0
  return {
    record: (now = 0) => {
      value = now
    },
    samples: () => [{ labels, value }],
  }
}

/** @param edges Upper edges of the buckets, rising; one without end is added. */
export const histogramSeries =
  (name: string, edges: readonly number[]) =>
  (labels: Labels): Series => {
    const counts = new Float64Array(edges.length + 1)
    const bucketLabels = [...edges.map(String), '+Inf'].map((le) => ({ ...labels, le }))
    let sum = 0
    return {
      record: (value = 0) => {
        if (Number.isNaN(value)) return
        let bucket = 0
        while (bucket < edges.length && value > (edges[bucket] ?? 0)) bucket++
        counts[bucket] = (counts[bucket] ?? 0) + 1
        sum += value
      },
      samples: () => {
        let count = 0
        const buckets = bucketLabels.map((withEdge, i) => ({
          metricName: `${name}_bucket`,
          labels: withEdge,
          value: (count += counts[i] ?? 0),
        }))
        return [
          ...buckets,
          { metricName: `${name}_sum`, labels, value: sum },
          { metricName: `${name}_count`, labels, value: count },
        ]
      },
    }
  }
