/**
 * What does a reload cost, and what do callers notice of it? For a gateway with few routes and with many: one route is
 * changed and SIGHUP sent, first while nobody asks anything, then under load. Time until the new configuration runs, CPU
 * time, and how late the event loop came at the worst, by its own figure (`nodejs_eventloop_lag_max_seconds`).
 *
 * The load counts what it sent and what was answered, and gives nothing up: the records of the gateway must be as many. Ends
 * with one line of JSON, and with 1 if a request was lost, refused, or has no record of its own.
 *
 * Run: npm run bench -- reload [--rounds 3] [--routes 10,10000] [--cpu-prof FOLDER]
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startCountedLoad, type Counted } from './rig/counted-load.ts'
import { startGateway } from './rig/gateway.ts'
import { startParts } from './rig/parts.ts'
import { lastLine, percentile, rounded, table } from './rig/summary.ts'
import { wrk } from './rig/wrk.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    routes: { type: 'string', default: '10,10000' },
    'cpu-prof': { type: 'string' },
  },
})
const counts = values.routes.split(',').map(Number)
const rounds = Number(values.rounds)
const connections = 16
const withinMs = 120_000

const folder = mkdtempSync(join(tmpdir(), 'bench-reload-'))
const ending: (() => Promise<void>)[] = []

type Gateway = Awaited<ReturnType<typeof startGateway>>
type Figures = { readonly ms: number; readonly cpuMs: number; readonly worstMs: number }
type Loaded = Figures & { readonly load: Counted; readonly records: number }

/** Since it was asked the last time. */
const longestDelayMs = async (adminPort: number): Promise<number> => {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()
  return Number(/^nodejs_eventloop_lag_max_seconds (\S+)$/m.exec(text)?.[1]) * 1000
}

const reloadsOf = (output: string): number =>
  readFileSync(output, 'utf8').split('"msg":"reloaded"').length - 1

let changes = 0

/** Changes the team of a route and waits for the gateway to say that it runs what it says now. */
const change = async ({ file, running }: Gateway): Promise<number> => {
  const output = `${file}.out`
  const before = reloadsOf(output)
  changes += 1
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, text.replace(/team: \S+/, `team: shop-${changes}`))
  const began = performance.now()
  process.kill(running.pid, 'SIGHUP')
  while (reloadsOf(output) === before) {
    if (running.hasEnded() || performance.now() - began > withinMs)
      throw new Error(
        `no reload; ${output} ends with:\n${readFileSync(output, 'utf8').slice(-2000)}`,
      )
    await sleep(5)
  }
  return performance.now() - began
}

const figuresOf = async (gateway: Gateway): Promise<Figures> => {
  await longestDelayMs(gateway.adminPort)
  const before = gateway.running.cpuMicros()
  const ms = await change(gateway)
  const cpuMs = (gateway.running.cpuMicros() - before) / 1000
  return { ms, worstMs: await longestDelayMs(gateway.adminPort), cpuMs }
}

let loads = 0

const underLoad = async (gateway: Gateway, token: string, rootsFile: string): Promise<Loaded> => {
  loads += 1
  const path = `/orders/counted-${loads}`
  const port = Number(new URL(gateway.url).port)
  const stop = startCountedLoad({ port, rootsFile, path, token, connections })
  await sleep(1000)
  const figures = await figuresOf(gateway)
  await sleep(500)
  const load = await stop()
  return { ...figures, load, records: await recordsOf(gateway, path, load.sent) }
}

const recordedWithinMs = 10_000

/** How many records with an identifier of their own there are of requests for `path` that were served, once it is `expected` or late. */
const recordsOf = async ({ records }: Gateway, path: string, expected: number): Promise<number> => {
  const until = performance.now() + recordedWithinMs
  for (;;) {
    const lines = readFileSync(records, 'utf8').split('\n')
    const ids = lines
      .filter((line) => line.includes(`"path":"${path}"`))
      .map((line) => JSON.parse(line) as { decisionId: string; status?: number })
      .filter(({ status }) => status === 200)
      .map(({ decisionId }) => decisionId)
    const count = new Set(ids).size
    if (count >= expected || performance.now() > until) return count
    await sleep(100)
  }
}

const run = async () => {
  const parts = await startParts(folder, ending)
  const { certificates, tokens } = parts
  const token = tokens.token()
  const headers = [`Authorization: Bearer ${token}`]
  const lines = []
  for (const routes of counts) {
    const profile = values['cpu-prof']
    const nodeOptions = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]
    const options = { protocol: 'h2', routes, nodeOptions } as const
    const gateway = await startGateway(`gateway-${routes}`, options, parts)
    ending.push(gateway.running.stop)
    await wrk({ url: `${gateway.url}/orders/1`, seconds: 3, connections, headers })
    const alone: Figures[] = []
    const loaded: Loaded[] = []
    await figuresOf(gateway)
    for (let round = 0; round < rounds; round++) {
      alone.push(await figuresOf(gateway))
      loaded.push(await underLoad(gateway, token, certificates.edgeRoot))
    }
    const of = <T>(all: readonly T[], pick: (one: T) => number) =>
      rounded(percentile(all.map(pick), 0.5), 0)
    const sum = (pick: (one: Loaded) => number) =>
      loaded.reduce((total, one) => total + pick(one), 0)
    lines.push({
      routes,
      ms: of(alone, ({ ms }) => ms),
      cpuMs: of(alone, ({ cpuMs }) => cpuMs),
      worstMs: of(alone, ({ worstMs }) => worstMs),
      loadedMs: of(loaded, ({ ms }) => ms),
      loadedWorstMs: of(loaded, ({ worstMs }) => worstMs),
      perSecond: of(loaded, ({ load }) => load.perSecond),
      p99Ms: of(loaded, ({ load }) => load.p99Ms),
      worstAnswerMs: of(loaded, ({ load }) => load.worstMs),
      sent: sum(({ load }) => load.sent),
      answered: sum(({ load }) => load.answers['200'] ?? 0),
      recorded: sum(({ records }) => records),
    })
    await gateway.running.stop()
  }
  const columns = [
    ['routes', 'routes'],
    ['ms', 'ms'],
    ['CPU ms', 'cpuMs'],
    ['worst ms', 'worstMs'],
    ['under load: ms', 'loadedMs'],
    ['worst ms', 'loadedWorstMs'],
    ['p99 ms', 'p99Ms'],
    ['worst answer ms', 'worstAnswerMs'],
    ['a second', 'perSecond'],
    ['sent', 'sent'],
    ['answered', 'answered'],
    ['recorded', 'recorded'],
  ] as const
  const titles = columns.map(([title]) => title)
  const rows = lines.map((line) => columns.map(([, name]) => String(line[name])))
  console.log(table(titles, rows))
  const perRoute = rounded(
    ((lines.at(-1)?.cpuMs ?? 0) - (lines[0]?.cpuMs ?? 0)) /
      ((lines.at(-1)?.routes ?? 0) - (lines[0]?.routes ?? 0)),
  )
  console.log(`\n${lastLine('reload', { cpuMsPerRoute: perRoute, lines })}`)
  const isWell = lines.every(
    ({ sent, answered, recorded }) => sent > 0 && answered === sent && recorded === sent,
  )
  process.exitCode = isWell ? 0 : 1
}

try {
  await run()
} finally {
  for (const end of ending.reverse()) await end()
  rmSync(folder, { recursive: true })
}
