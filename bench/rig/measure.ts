import type { Contender } from './contender.ts'
import { empty, endedChildrenMicros, machineBusyMicros, type Running } from './processes.ts'
import { wrk, type Load, type Seen } from './wrk.ts'

/** One round of one contender. */
export type Round = Seen & {
  /** CPU of its process, user and system, divided by requests. */
  readonly cpuMicros: number
  /** The same of the processes that worked along with it. */
  readonly besideMicros: number
  /** Share of one core that it had. */
  readonly coreShare: number
  /** Cores that programs used which are no part of this. */
  readonly foreignCores: number
}

/**
 * Measures one contender under one load.
 *
 * @param beside The exchange, say: its share is told apart.
 * @param others Whatever else belongs to the benchmark, so that it is not taken for a disturbance.
 */
export const measure = async (
  { url, running, records }: Contender,
  load: Omit<Load, 'url'> & { readonly path: string },
  beside: readonly Running[],
  others: readonly Running[],
): Promise<Round> => {
  const asked = { ...load, url: url + load.path }
  empty(records)
  const own = [running, ...beside, ...others]
  const clocks = () => ({
    contender: running.cpuMicros(),
    beside: sum(beside),
    ours: sum(own) + endedChildrenMicros(),
    machine: machineBusyMicros(),
    wall: performance.now() * 1000,
  })
  const before = clocks()
  const seen = await wrk(asked)
  const after = clocks()
  const spent = (clock: keyof typeof after) => after[clock] - before[clock]
  return {
    ...seen,
    cpuMicros: spent('contender') / seen.requests,
    besideMicros: spent('beside') / seen.requests,
    coreShare: spent('contender') / spent('wall'),
    foreignCores: Math.max(0, spent('machine') - spent('ours')) / spent('wall'),
  }
}

const sum = (all: readonly Running[]): number =>
  all.reduce((total, running) => total + running.cpuMicros(), 0)
