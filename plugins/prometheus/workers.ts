import { AggregatorRegistry } from 'prom-client'
import type { Figures, PrometheusSink, Scrape } from './sink.ts'

export type WorkersFigures = {
  /** Of all that run and all that are gone, and of this process. */
  readonly scrape: (ofWorkers: ReadonlyMap<number, Figures>) => Promise<Scrape>
  /** Keeps what a worker that is gone has counted, as it was last asked: a counter never goes down. */
  readonly departed: (id: number) => Promise<void>
}

type Metric = { readonly type: string }

/** Adds the figures of several processes up, each by the rule of its metric. */
export const workersFigures = (own: Pick<PrometheusSink, 'figures'>): WorkersFigures => {
  const last = new Map<number, Figures>()
  let gone: Promise<Figures> = Promise.resolve([])
  return {
    scrape: async (ofWorkers) => {
      for (const [id, figures] of ofWorkers) last.set(id, figures)
      const all = added([await own.figures(), await gone, ...last.values()]) // of one that did not answer, the last
      return {
        contentType: all.contentType,
        body: (await all.metrics()).replaceAll(/ Nan$/gm, ' NaN'), // as the format spells it
      }
    },
    departed: async (id) => {
      const counted = (last.get(id) ?? []).filter((metric) => (metric as Metric).type !== 'gauge')
      last.delete(id)
      gone = gone.then((before) => added([before, counted]).getMetricsAsJSON())
      await gone
    },
  }
}

const added = (all: readonly Figures[]) => AggregatorRegistry.aggregate(all as object[])
