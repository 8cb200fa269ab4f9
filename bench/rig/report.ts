import { upstreamProtocols } from './contender.ts'
import type { Round } from './measure.ts'

/** Rounds by contender, in the order in which they took turns. */
export type Results = ReadonlyMap<string, readonly Round[]>

const columns: readonly (readonly [
  title: string,
  width: number,
  digits: number,
  pick: (round: Round) => number,
])[] = [
  ['exchange µs', 13, 1, (round) => round.besideMicros],
  ['requests/s', 12, 0, (round) => round.perSecond],
  ['p50 ms', 9, 2, (round) => round.p50Ms],
  ['p99 ms', 9, 2, (round) => round.p99Ms],
  ['core', 7, 2, (round) => round.coreShare],
  ['others', 8, 2, (round) => round.foreignCores],
]

/** A line for each contender: medians, the spread of its CPU time, and how much it takes for what `base` takes for one. */
export const table = (title: string, results: Results, base: string): string => {
  const head =
    title.padEnd(26) +
    'CPU µs (spread)'.padEnd(25) +
    `× ${base}`.padStart(16) +
    columns.map(([name, width]) => name.padStart(width)).join('')
  const lines = [...results].map(([name, rounds]) => {
    const cpu = rounds.map((round) => round.cpuMicros)
    const spread = `${Math.min(...cpu).toFixed(1)} to ${Math.max(...cpu).toFixed(1)}`
    return (
      `  ${name}`.padEnd(24) +
      `${median(cpu).toFixed(1).padStart(7)} (${spread})`.padEnd(27) +
      (ratio(rounds, results.get(base)) ?? Number.NaN).toFixed(3).padStart(16) +
      columns
        .map(([, width, digits, pick]) => median(rounds.map(pick)).toFixed(digits).padStart(width))
        .join('')
    )
  })
  return [head, ...lines].join('\n')
}

/** How many times as much CPU one takes as the other: compared round by round, since what disturbs one disturbs the next, too. */
export const ratio = (
  own: readonly Round[] | undefined,
  other: readonly Round[] | undefined,
): number | undefined => {
  const pairs = (own ?? []).flatMap((round, i) => {
    const beside = other?.[i]
    return beside ? [round.cpuMicros / beside.cpuMicros] : []
  })
  return pairs.length === 0 ? undefined : rounded(median(pairs))
}

/** The gateway over each of the others, which stand with what is best for them: the cheaper of both protocols. */
export const ratios = (results: Results): Readonly<Record<string, number>> => {
  const found: Record<string, number> = {}
  for (const gateway of ['gateway-http1', 'gateway-h2'])
    for (const rival of ['haproxy', 'envoy', 'envoy-uncached', 'http-proxy']) {
      const best = upstreamProtocols
        .flatMap((protocol) => {
          const rounds = results.get(`${rival}-${protocol}`)
          return rounds ? [rounds] : []
        })
        .toSorted((a, b) => median(a.map(cpuOf)) - median(b.map(cpuOf)))[0]
      const compared = ratio(results.get(gateway), best)
      if (compared !== undefined) found[`${gateway}/${rival}`] = compared
    }
  return found
}

const cpuOf = (round: Round): number => round.cpuMicros

/** CPU time by contender, for the record. */
export const medians = (results: Results): Readonly<Record<string, number>> =>
  Object.fromEntries(
    [...results].map(([name, rounds]) => [name, rounded(median(rounds.map(cpuOf)))]),
  )

export const median = (figures: readonly number[]): number =>
  figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN

const rounded = (figure: number): number => Number(figure.toFixed(3))
