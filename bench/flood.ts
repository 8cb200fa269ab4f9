/**
 * What does a bad request cost beside a good one, and what do valid callers notice of a flood? CPU time of the gateway for
 * a request of each kind, medians of rounds that take turns, once all kinds have been seen; then the latency of 4 valid
 * callers while 32 connections send that kind as fast as they get answers; and the memory that it takes.
 *
 * Run: npm run bench -- flood [--rounds 3] [--seconds 3] [--only good,garbage,unknown-kid] [--tree FOLDER] [--built]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { floods, type Flood } from './rig/flood-load.ts'
import { footprintOf } from './rig/footprint.ts'
import { startGateway } from './rig/gateway.ts'
import { measure, type Round } from './rig/measure.ts'
import { totalOf } from './rig/metrics.ts'
import { builtTree, startParts } from './rig/parts.ts'
import { median } from './rig/report.ts'
import { lastLine, table } from './rig/summary.ts'
import { wrk } from './rig/wrk.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    tree: { type: 'string' },
    built: { type: 'boolean', default: false },
  },
})
const seconds = Number(values.seconds)
const tree = values.built ? { tree: builtTree() } : values.tree ? { tree: values.tree } : {}
const floodConnections = 32
const validConnections = 4

const columns = [
  'flood',
  'CPU µs',
  '× good',
  'requests/s',
  'valid p50 ms',
  'p99 ms',
  'refused',
  'RSS MB',
] as const

const folder = mkdtempSync(join(tmpdir(), 'bench-flood-'))
const ending: (() => Promise<void>)[] = []

type Line = {
  readonly name: string
  readonly cpuMicros: number
  readonly perSecond: number
  readonly validP50Ms: number
  readonly validP99Ms: number
  readonly validBad: number
  readonly rssMb: number
}

const run = async () => {
  const parts = await startParts(folder, ending)
  const { tokens, upstream, exchange } = parts
  const gateway = await startGateway(
    'gateway',
    { protocol: 'h2', ingress: { trustedProxies: ['127.0.0.0/8'] }, ...tree },
    parts,
  )
  ending.push(gateway.running.stop)
  const url = `${gateway.url}/orders/1`
  const valid = { headers: [`Authorization: Bearer ${tokens.token({ jti: 'valid' })}`] }
  const rss = async () => (await footprintOf(gateway.running.pid, gateway.adminPort)).rssMb
  const asked = values.only === '' ? undefined : values.only.split(',')
  const kinds = floods(folder, tokens).filter(({ name }) => asked?.includes(name) ?? true)

  for (let i = 0; i < 6; i += 1) await wrk({ url, seconds: 2, connections: 64, ...valid })
  const alone = ({ script }: Flood) =>
    measure(
      gateway,
      { path: '/orders/1', seconds, connections: floodConnections, script },
      [exchange.running],
      [upstream.running],
    )
  for (const kind of kinds) await alone(kind) // Node compiles what is new in it
  const rounds = new Map<string, Round[]>()
  for (let round = 0; round < Number(values.rounds); round += 1)
    for (const kind of kinds)
      rounds.set(kind.name, [...(rounds.get(kind.name) ?? []), await alone(kind)])
  const medianOf = (name: string, what: 'cpuMicros' | 'perSecond') =>
    median((rounds.get(name) ?? []).map((round) => round[what]))

  const lines: Line[] = []
  for (const { name, script } of [{ name: 'nobody', script: undefined }, ...kinds]) {
    const [beside] = await Promise.all([
      wrk({ url, seconds, connections: validConnections, ...valid }),
      script === undefined
        ? undefined
        : wrk({ url, seconds, connections: floodConnections, script }),
    ])
    lines.push({
      name,
      cpuMicros: medianOf(name, 'cpuMicros'),
      perSecond: medianOf(name, 'perSecond'),
      validP50Ms: beside.p50Ms,
      validP99Ms: beside.p99Ms,
      validBad: beside.bad,
      rssMb: await rss(),
    })
  }
  report(lines, await totalOf(gateway.adminPort, 'sallyport_issuer_fetches_total'))
}

const report = (lines: readonly Line[], issuerFetches: number) => {
  const good = lines.find(({ name }) => name === 'good')?.cpuMicros ?? Number.NaN
  const told = (figure: number, digits: number) =>
    Number.isNaN(figure) ? '' : figure.toFixed(digits)
  const rows = lines.map((line) => [
    line.name,
    told(line.cpuMicros, 1),
    told(line.cpuMicros / good, 2),
    told(line.perSecond, 0),
    told(line.validP50Ms, 2),
    told(line.validP99Ms, 2),
    String(line.validBad),
    told(line.rssMb, 0),
  ])
  console.log(table(columns, rows))
  console.log(`\n${lastLine('flood', { lines, issuerFetches })}`)
  process.exitCode = lines.every(({ validBad }) => validBad === 0) ? 0 : 1
}

try {
  await run()
} finally {
  for (const end of ending.reverse()) await end()
  rmSync(folder, { recursive: true })
}
