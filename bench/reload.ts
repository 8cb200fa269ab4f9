/**
 * What does a reload cost, and what do callers notice of it? For a gateway with few routes and with many: one route is
 * changed and SIGHUP sent, first while nobody asks anything, then under load. Time until the new configuration runs, CPU
 * time, and how late the event loop came at the worst, as who asks `/readyz` every 10 ms sees it. Ends with one line of
 * JSON, and with 1 if a request was lost.
 *
 * Run: npm run bench -- reload [--rounds 3] [--routes 10,10000]
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startExchange, startGateway } from './rig/gateway.ts'
import { makeCertificates } from './rig/mesh.ts'
import { lastLine, percentile, rounded, table } from './rig/summary.ts'
import { tokenMaker } from './rig/tokens.ts'
import { startUpstream } from './rig/upstream.ts'
import { wrk } from './rig/wrk.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    routes: { type: 'string', default: '10,10000' },
  },
})
const counts = values.routes.split(',').map(Number)
const rounds = Number(values.rounds)
const connections = 16
const withinMs = 120_000
const probeMs = 10

const folder = mkdtempSync(join(tmpdir(), 'bench-reload-'))
const ending: (() => Promise<void>)[] = []

type Gateway = Awaited<ReturnType<typeof startGateway>>
type Figures = { readonly ms: number; readonly cpuMs: number; readonly worstMs: number }
type Loaded = Figures & { readonly requests: number; readonly bad: number; readonly p99Ms: number }

/** The longest that an answer took while `work` was under way. */
const worstWhile = async <T>(adminPort: number, work: Promise<T>): Promise<[T, number]> => {
  // Each on a connection of its own: one that is kept may end while the loop is late.
  const agent = new Agent({ keepAlive: false })
  let worstMs = 0
  const probing = { isOver: false }
  const probe = async () => {
    while (!probing.isOver) {
      const began = performance.now()
      await new Promise<void>((resolve, reject) => {
        const asked = get({ host: '127.0.0.1', port: adminPort, path: '/readyz', agent }, (res) => {
          res.resume()
          res.once('end', resolve)
        })
        asked.once('error', reject)
      })
      worstMs = Math.max(worstMs, performance.now() - began)
      await sleep(probeMs)
    }
  }
  const probes = probe()
  probes.catch(() => {}) // it is awaited below: until then what broke is not to end us without those that we started
  const result = await work
  probing.isOver = true
  await probes
  agent.destroy()
  return [result, worstMs]
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

const quiet = async (gateway: Gateway): Promise<Figures> => {
  const before = gateway.running.cpuMicros()
  const [ms, worstMs] = await worstWhile(gateway.adminPort, change(gateway))
  return { ms, worstMs, cpuMs: (gateway.running.cpuMicros() - before) / 1000 }
}

const underLoad = async (
  gateway: Gateway,
  headers: readonly string[],
  seconds: number,
): Promise<Loaded> => {
  const load = wrk({ url: `${gateway.url}/orders/1`, seconds, connections, headers })
  await sleep(500)
  const figures = await quiet(gateway)
  const { requests, bad, p99Ms } = await load
  return { ...figures, requests, bad, p99Ms }
}

const run = async () => {
  const certificates = await makeCertificates(folder)
  const tokens = tokenMaker(folder)
  const upstream = await startUpstream(folder, certificates)
  ending.push(upstream.running.stop)
  const exchange = await startExchange({ folder, certificates, tokens })
  ending.push(exchange.running.stop)
  const parts = { folder, certificates, tokens, upstream, exchange }
  const headers = [`Authorization: Bearer ${tokens.token()}`]
  const lines = []
  for (const routes of counts) {
    const gateway = await startGateway(`gateway-${routes}`, { protocol: 'h2', routes }, parts)
    ending.push(gateway.running.stop)
    await wrk({ url: `${gateway.url}/orders/1`, seconds: 3, connections, headers })
    const alone: Figures[] = []
    const loaded: Loaded[] = []
    await quiet(gateway)
    for (let round = 0; round < rounds; round++) {
      const figures = await quiet(gateway)
      alone.push(figures)
      // Longer than the reload, which has to share the core with the load.
      loaded.push(await underLoad(gateway, headers, Math.ceil(figures.ms / 250) + 3))
    }
    const of = <T>(all: readonly T[], pick: (one: T) => number) =>
      rounded(percentile(all.map(pick), 0.5), 0)
    lines.push({
      routes,
      ms: of(alone, ({ ms }) => ms),
      cpuMs: of(alone, ({ cpuMs }) => cpuMs),
      worstMs: of(alone, ({ worstMs }) => worstMs),
      loadedMs: of(loaded, ({ ms }) => ms),
      loadedWorstMs: of(loaded, ({ worstMs }) => worstMs),
      requests: loaded.reduce((sum, { requests }) => sum + requests, 0),
      lost: loaded.reduce((sum, { bad }) => sum + bad, 0),
      p99Ms: of(loaded, ({ p99Ms }) => p99Ms),
    })
    await gateway.running.stop()
  }
  console.log(
    table(
      [
        'routes',
        'ms',
        'CPU ms',
        'worst ms',
        'under load: ms',
        'worst ms',
        'p99 ms',
        'requests',
        'lost',
      ],
      lines.map((line) =>
        [
          line.routes,
          line.ms,
          line.cpuMs,
          line.worstMs,
          line.loadedMs,
          line.loadedWorstMs,
          line.p99Ms,
          line.requests,
          line.lost,
        ].map(String),
      ),
    ),
  )
  const perRoute = rounded(
    ((lines.at(-1)?.cpuMs ?? 0) - (lines[0]?.cpuMs ?? 0)) /
      ((lines.at(-1)?.routes ?? 0) - (lines[0]?.routes ?? 0)),
  )
  console.log(`\n${lastLine('reload', { cpuMsPerRoute: perRoute, lines })}`)
  process.exitCode = lines.some(({ lost }) => lost > 0) ? 1 : 0
}

try {
  await run()
} finally {
  for (const end of ending.reverse()) await end()
  rmSync(folder, { recursive: true })
}
