import assert from 'node:assert/strict'

export type Line = {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}
export type ParsedFamily = { readonly type: string; readonly help: string; readonly lines: Line[] }

const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/
const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/
const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y
const value = /^(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|NaN|[+-]Inf)$/
const suffixes: Readonly<Record<string, RegExp>> = { histogram: /_(?:bucket|sum|count)$/ }

/**
 * Reads the text format of Prometheus, and asserts more than Prometheus does: help and type before the lines of each
 * metric, all lines of a metric together, no series twice, counters named so, histograms that add up.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details
 */
export const parseTextFormat = (text: string): ReadonlyMap<string, ParsedFamily> => {
  assert.ok(text.endsWith('\n'), 'the last line must end')
  const families = new Map<string, ParsedFamily>()
  const seen = new Set<string>()
  let help: readonly [string, string] | undefined
  let current: { readonly name: string; readonly family: ParsedFamily } | undefined

  for (const row of text.split('\n')) {
    if (row === '') continue
    const [, word, commented = '', said = ''] = comment.exec(row) ?? []
    if (word === 'HELP') {
      help = [commented, said]
    } else if (word === 'TYPE') {
      assert.equal(help?.[0], commented, `no help before ${row}`)
      assert.ok(!families.has(commented), `${commented} comes twice`)
      assert.match(said, /^(?:counter|gauge|histogram|summary|untyped)$/)
      const family = { type: said, help: help?.[1] ?? '', lines: [] }
      families.set(commented, family)
      current = { name: commented, family }
    } else {
      const line = parseLine(row)
      assert.ok(current, `no type before ${row}`)
      const base = line.name.replace(suffixes[current.family.type] ?? /$^/, '')
      assert.equal(base, current.name, `${row} stands among another metric`)
      const series = row.slice(0, row.lastIndexOf(' '))
      assert.ok(!seen.has(series), `${series} comes twice`)
      seen.add(series)
      current.family.lines.push(line)
    }
  }
  for (const [name, family] of families) checkFamily(name, family)
  return families
}

const parseLine = (row: string): Line => {
  const [, name = '', inside = '', number = ''] =
    sample.exec(row) ?? assert.fail(`not a line: ${row}`)
  assert.match(number, value, row)
  const labels: Record<string, string> = {}
  label.lastIndex = 0
  while (label.lastIndex < inside.length) {
    const at = label.lastIndex
    const [, key = '', text = ''] = label.exec(inside) ?? assert.fail(`no label at ${at} of ${row}`)
    assert.ok(!Object.hasOwn(labels, key), `${key} comes twice in ${row}`)
    labels[key] = text
  }
  return { name, labels, value: Number(number.replace('Inf', 'Infinity')) }
}

const checkFamily = (name: string, { type, lines }: ParsedFamily): void => {
  if (type === 'counter') {
    assert.match(name, /_total$/)
    assert.ok(lines.every((line) => line.value >= 0))
  }
  if (type !== 'histogram') return
  const sets = new Map<string, Line[]>()
  for (const line of lines) {
    const { le: _, ...labels } = line.labels
    const key = JSON.stringify(labels)
    sets.set(key, [...(sets.get(key) ?? []), line])
  }
  for (const [key, set] of sets) {
    const buckets = set.filter((line) => line.name === `${name}_bucket`)
    const edges = buckets.map((line) => Number(line.labels['le']?.replace('Inf', 'Infinity')))
    assert.deepEqual(
      edges,
      [...edges].sort((a, b) => a - b),
      `${name}${key}: edges rise`,
    )
    assert.equal(edges.at(-1), Infinity, `${name}${key}: the last edge`)
    const counts = buckets.map((line) => line.value)
    assert.deepEqual(
      counts,
      [...counts].sort((a, b) => a - b),
      `${name}${key}: counts rise`,
    )
    assert.equal(set.find((line) => line.name === `${name}_count`)?.value, counts.at(-1))
    assert.ok(set.some((line) => line.name === `${name}_sum`))
  }
}
