/**
 * How long does one decision of the policy take? The policy that is shipped, asked by the engine of the gateway: inputs
 * that it has not seen, and one that it remembers; beside the same module asked by `@open-policy-agent/opa-wasm` itself.
 * Times of single decisions by the wall clock, and CPU of many; the variants take turns. Ends with one line of JSON.
 *
 * Run: npm run bench -- policy [--rounds 20] [--decisions 1000]
 */
import { createRequire } from 'node:module'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { policyContractVersion, type PolicyInput } from '#contract/policy'
import { noLog, noMeter } from '#contract/telemetry'
import { loadPolicyBundle } from '#plugins/policy/bundle'
import { readBundleFile } from '#plugins/policy/bundle-file'
import { policyEngine } from '#plugins/policy/engine'
import { policyData } from './rig/gateway.ts'
import { cpuMicrosOf, lastLine, percentile, rounded, table } from './rig/summary.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    decisions: { type: 'string', default: '1000' },
  },
})
const decisions = Number(values.decisions)
const goalP95Ms = 0.1

const folder = mkdtempSync(join(tmpdir(), 'bench-policy-'))
const dataFile = join(folder, 'data.json')
writeFileSync(dataFile, JSON.stringify(policyData))
const bundleFile = join(import.meta.dirname, '../config/policy/bundle/bundle.tar.gz')
const options = {
  bundleFile,
  dataFile,
  entrypoint: 'sallyport/decision',
  maxInputBytes: 65_536,
  maxMemoryBytes: 67_108_864,
}
const engine = policyEngine(loadPolicyBundle(options), options, { meter: noMeter, log: noLog })
const opaWasm = createRequire(import.meta.url)(
  '@open-policy-agent/opa-wasm',
) as typeof import('@open-policy-agent/opa-wasm')
const library = opaWasm.loadPolicySync(readBundleFile(bundleFile).wasm)
library.setData(policyData)
const libraryAllows = (asked: PolicyInput): boolean => {
  const [first] = library.evaluate(asked, options.entrypoint) as { result?: { allow?: boolean } }[]
  return first?.result?.allow === true
}

/** As the gateway asks it of one person. */
const input = (person: number, roles: readonly string[]): PolicyInput => ({
  version: policyContractVersion,
  nowMs: 1_700_000_000_000,
  direction: 'ingress',
  trustDomain: 'mesh.bench',
  request: {
    method: 'GET',
    host: 'localhost',
    path: '/orders/1',
    segments: ['orders', '1'],
    query: '',
    headers: {},
  },
  route: {
    id: 'orders',
    team: 'shop',
    requires: {
      roles: { any: ['orders-reader'] },
      scopes: ['orders:read'],
      methods: ['GET', 'POST'],
    },
  },
  subject: {
    spiffeId: `spiffe://mesh.bench/t1/people/user-${person}`,
    issuer: 'bench',
    kind: 'external',
    claims: { roles, tenant: 't1', scope: 'orders:read' },
  },
  tls: { version: 'TLSv1.3', clientSpiffeId: null },
  net: { address: '192.0.2.1' },
})

const few = ['orders-reader']
const many = [...few, ...Array.from({ length: 60 }, (_, i) => `role-of-another-service-${i}`)]
let people = 0
const must = (allowed: boolean) => {
  if (!allowed) throw new Error('the policy denied what it must allow')
}
const decide = (asked: PolicyInput) => {
  const decided = engine.decide(asked)
  must(!(decided instanceof Promise) && decided.ok)
}
const remembered = input(0, few)
const variants: Readonly<Record<string, () => void>> = {
  'a new caller': () => decide(input(++people, few)),
  'a new caller with 61 roles': () => decide(input(++people, many)),
  remembered: () => decide(remembered),
  'opa-wasm, a new caller': () => must(libraryAllows(input(++people, few))),
}

type Figures = { readonly cpuMicros: number; readonly singleMs: readonly number[] }
const round = (run: () => void): Figures => {
  const cpuMicros = cpuMicrosOf(decisions, run)
  const singleMs = Array.from({ length: decisions }, () => {
    const began = performance.now()
    run()
    return performance.now() - began
  })
  return { cpuMicros, singleMs }
}

const all = new Map<string, Figures[]>(Object.keys(variants).map((name) => [name, []]))
const warmUps = 5
for (let at = -warmUps; at < Number(values.rounds); at++)
  for (const [name, run] of Object.entries(variants)) {
    const figures = round(run)
    if (at >= 0) all.get(name)?.push(figures)
  }

const rows = [...all].map(([name, rounds]) => {
  const single = rounds.flatMap(({ singleMs }) => singleMs)
  return {
    name,
    cpuMicros: percentile(
      rounds.map(({ cpuMicros }) => cpuMicros),
      0.5,
    ),
    p50Ms: rounded(percentile(single, 0.5), 4),
    p95Ms: rounded(percentile(single, 0.95), 4),
    p99Ms: rounded(percentile(single, 0.99), 4),
  }
})
const cells = (name: string, figures: readonly number[]) => [
  name,
  ...figures.map((figure, i) => figure.toFixed(i === 0 ? 1 : 4)),
]
console.log(
  table(
    ['decision', 'CPU µs', 'p50 ms', 'p95 ms', 'p99 ms'],
    rows.map(({ name, cpuMicros, p50Ms, p95Ms, p99Ms }) =>
      cells(name, [cpuMicros, p50Ms, p95Ms, p99Ms]),
    ),
  ),
)
const [first, large, , own] = rows
console.log(
  `\n${lastLine('policy', {
    goalP95Ms,
    p95Ms: rounded(first?.p95Ms ?? Number.NaN, 4),
    largeP95Ms: rounded(large?.p95Ms ?? Number.NaN, 4),
    toLibrary: rounded((first?.cpuMicros ?? 0) / (own?.cpuMicros ?? 0)),
    rows,
  })}`,
)
rmSync(folder, { recursive: true })
process.exitCode = (first?.p95Ms ?? Infinity) <= goalP95Ms ? 0 : 1
