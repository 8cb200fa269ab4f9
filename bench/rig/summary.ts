import { cpus } from 'node:os'

/** A table whose first column is text and whose others are figures. */
export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string => {
  const widths = head.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => (row[i] ?? '').length)),
  )
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join('   '),
    )
    .join('\n')
}

/** The last line of a benchmark. */
export const lastLine = (bench: string, figures: Readonly<Record<string, unknown>>): string =>
  JSON.stringify({ bench, ...machine(), ...figures })

export const machine = () => ({
  date: new Date().toISOString().slice(0, 10),
  machine: `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores`,
  node: process.version,
})

export const rounded = (figure: number, digits = 3): number => Number(figure.toFixed(digits))

/** The value that so large a share of them does not exceed. */
export const percentile = (figures: readonly number[], share: number): number => {
  const sorted = figures.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/** CPU of this process for each of `count` calls, user and system: a busy machine changes it less than the wall clock. */
export const cpuMicrosOf = (count: number, run: (at: number) => unknown): number => {
  const before = process.cpuUsage()
  for (let at = 0; at < count; at++) run(at)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / count
}
