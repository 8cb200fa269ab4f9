/** What a garbage collector did, by each of so many. */
export type Garbage = {
  /** All that was allocated. */
  readonly madeBytes: number
  /** What was still wanted when the young generation was looked through; twice if it was at the next look, too. */
  readonly survivingBytes: number
  /** Of it, what was moved to the old generation, which is looked through seldom and at length. */
  readonly agedBytes: number
  readonly pausesMicros: number
  readonly longestPauseMs: number
}

/** Reads what Node says with `--trace-gc-nvp`, a line for each collection. */
export const gatherGarbage = (text: string, count: number): Garbage => {
  const lines = text.split('\n').filter((line) => line.includes(' gc='))
  const figure = (line: string, name: string) =>
    Number(new RegExp(` ${name}=([\\d.]+)`).exec(line)?.[1] ?? 0)
  const sum = (name: string) => lines.reduce((total, line) => total + figure(line, name), 0)
  const aged = sum('promoted')
  return {
    madeBytes: sum('allocated') / count,
    survivingBytes: (sum('new_space_survived') + aged) / count,
    agedBytes: aged / count,
    pausesMicros: (sum('pause') * 1000) / count,
    longestPauseMs: Math.max(0, ...lines.map((line) => figure(line, 'pause'))),
  }
}
