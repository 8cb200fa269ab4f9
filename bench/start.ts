/**
 * How long until it is ready? From the start of the process to the first 200 of `/readyz`, of what `npm run build` makes, of
 * the sources, and of a Node that only says hello by `node:https`; gateway with firewall and without, and exchange. The
 * variants take turns; medians. Ends with one line of JSON.
 *
 * Run: npm run bench -- start [--rounds 7]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startBareTls } from './rig/bare-tls.ts'
import { startExchange, startGateway } from './rig/gateway.ts'
import { makeCertificates } from './rig/mesh.ts'
import type { Running } from './rig/processes.ts'
import { lastLine, percentile, rounded, table } from './rig/summary.ts'
import { builtTree, startParts } from './rig/parts.ts'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '7' } } })
const goalSeconds = 1

const folder = mkdtempSync(join(tmpdir(), 'bench-start-'))
const ending: (() => Promise<void>)[] = []

type Figures = { readonly seconds: number; readonly cpuSeconds: number }

/** Starts it, waits until it is ready, and ends it. */
const timed = async (start: () => Promise<{ readonly running: Running }>): Promise<Figures> => {
  const began = performance.now()
  const { running } = await start()
  const seconds = (performance.now() - began) / 1000
  const cpuSeconds = running.cpuMicros() / 1e6
  await running.stop()
  return { seconds, cpuSeconds }
}

const run = async () => {
  const tree = builtTree()
  const parts = await startParts(folder, ending)
  const { tokens } = parts
  const gateway = (name: string, options: object) => () =>
    startGateway(name, { protocol: 'h2', ...options }, parts)
  const exchanges = { folder: mkdtempSync(join(folder, 'exchange-')), tokens }
  const other = { ...exchanges, certificates: await makeCertificates(exchanges.folder) }

  const variants: Readonly<Record<string, () => Promise<{ readonly running: Running }>>> = {
    'gateway, built': gateway('built', { tree }),
    'gateway, built, firewall on': gateway('built-waf', { tree, waf: { mode: 'enforce' } }),
    'exchange, built': () => startExchange(other, { tree }),
    'gateway, sources': gateway('sources', {}),
    'bare server': () => startBareTls('bare', parts),
  }
  const all = new Map<string, Figures[]>(Object.keys(variants).map((name) => [name, []]))
  // The first round fills the caches of the disk and of compiled sources.
  for (let round = -1; round < Number(values.rounds); round++)
    for (const [name, start] of Object.entries(variants)) {
      const figures = await timed(start)
      if (round >= 0) all.get(name)?.push(figures)
    }
  const of = (name: string, pick: (figures: Figures) => number, share = 0.5) =>
    percentile((all.get(name) ?? []).map(pick), share)
  const lines = Object.keys(variants).map((name) => ({
    name,
    seconds: rounded(of(name, ({ seconds }) => seconds)),
    worstSeconds: rounded(of(name, ({ seconds }) => seconds, 1)),
    cpuSeconds: rounded(of(name, ({ cpuSeconds }) => cpuSeconds)),
  }))
  console.log(
    table(
      ['start', 's until ready', 'longest', 'CPU s'],
      lines.map(({ name, seconds, worstSeconds, cpuSeconds }) => [
        name,
        seconds.toFixed(3),
        worstSeconds.toFixed(3),
        cpuSeconds.toFixed(2),
      ]),
    ),
  )
  const readySeconds = lines[0]?.seconds ?? Number.NaN
  const toBare = rounded(readySeconds / (lines.at(-1)?.seconds ?? Number.NaN), 2)
  console.log(`\n${lastLine('start', { goalSeconds, readySeconds, toBare, lines })}`)
  process.exitCode = readySeconds < goalSeconds ? 0 : 1
}

try {
  await run()
} finally {
  for (const end of ending.reverse()) await end()
  rmSync(folder, { recursive: true })
}
