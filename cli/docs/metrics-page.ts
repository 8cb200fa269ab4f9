import { metrics } from '#contract/telemetry'
import { cell, row } from './markdown.ts'
import { code } from './type-words.ts'

type Metric = {
  readonly kind: string
  readonly help: string
  readonly labels: Readonly<Record<string, readonly string[] | 'configured'>>
  readonly buckets?: readonly number[]
}

const manyValues = 20

/** The reference of every metric. */
export const metricsPage = (): string =>
  [
    `# Metrics

Generated from \`contract/telemetry.ts\` by \`npm run docs\`. Both processes show theirs at \`/metrics\` of their admin
listener. A label's values are a closed set, or names that the configuration gives (*configured*), so no caller can make
series.
`,
    ...Object.entries<Metric>(metrics).flatMap(([name, metric]) => section(name, metric)),
  ].join('\n')

const section = (name: string, { kind, help, labels, buckets }: Metric): string[] => {
  const rows = Object.entries(labels).map(([label, values]) =>
    row([code(label), cell(valuesInWords(values))]),
  )
  return [
    `## \`${name}\`\n`,
    `${kind[0]?.toUpperCase()}${kind.slice(1)}. ${help}\n`,
    ...(buckets === undefined ? [] : [`Buckets, in seconds: ${buckets.join(', ')}.\n`]),
    ...(rows.length === 0 ? [] : [row(['label', 'values']), row(['---', '---']), ...rows, '']),
  ]
}

const valuesInWords = (values: readonly string[] | 'configured'): string => {
  if (values === 'configured') return '*configured*'
  if (values.length > manyValues) return `a [problem](problems.md)'s tag`
  return values.map(code).join(', ')
}
