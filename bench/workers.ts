/**
 * Do two workers carry twice as much as one? A core with everything on it (load, service, a gateway of one worker) beside
 * two cores that each have as much (a load and a service each, a gateway of two workers): what two carry together, divided
 * by what one carries, is 2 if they do not stand in each other's way. Rounds take turns; medians. Ends with one line of JSON.
 *
 * Run: npm run bench -- workers [--rounds 5] [--seconds 5] [--connections 32]
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startGateway } from './rig/gateway.ts'
import { median } from './rig/report.ts'
import { startParts } from './rig/parts.ts'
import { childrenOf, moveTo, type Running } from './rig/processes.ts'
import { startRedis } from './rig/redis.ts'
import { lastLine, rounded, table } from './rig/summary.ts'
import { startUpstream } from './rig/upstream.ts'
import { wrk } from './rig/wrk.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '32' },
  },
})
const cores = [0, 1] as const
const folder = mkdtempSync(join(tmpdir(), 'bench-workers-'))
const ending: (() => Promise<void>)[] = []

type Round = { readonly perSecond: number; readonly cpuMicros: number; readonly p99Ms: number }

const run = async () => {
  if (cpus().length < cores.length) throw new Error('it takes two cores')
  const parts = await startParts(folder, ending)
  const beside = join(folder, 'beside')
  mkdirSync(beside)
  const other = await startUpstream(beside, parts.certificates)
  ending.push(other.running.stop)
  moveTo([0], parts.upstream.running.pid)
  moveTo([1], other.running.pid)

  const one = await startGateway('one-worker', { protocol: 'h2' }, parts)
  ending.push(one.running.stop)
  moveTo([0], one.running.pid)
  const redisUrl = await startRedis(folder, ending)
  const endpoint = [parts.upstream, other].map(({ h2Port }) => `https://127.0.0.1:${h2Port}`)
  const shared = { protocol: 'h2', workers: 2, redisUrl, endpoint } as const
  const two = await startGateway('two-workers', shared, parts)
  ending.push(two.running.stop)
  moveTo(cores, two.running.pid)
  for (const [i, pid] of childrenOf(two.running.pid).entries()) moveTo([i % 2], pid)

  const headers = [`Authorization: Bearer ${parts.tokens.token()}`]
  const connections = Number(values.connections)
  const load = async (url: string, running: Running, on: readonly number[]): Promise<Round> => {
    const before = running.cpuMicros()
    const asked = { url: `${url}/orders/1`, seconds: Number(values.seconds), connections, headers }
    const seen = await Promise.all(on.map((core) => wrk({ ...asked, core })))
    const requests = seen.reduce((sum, each) => sum + each.requests, 0)
    if (seen.some(({ bad }) => bad > 0)) throw new Error('not all were answered as they should be')
    return {
      perSecond: seen.reduce((sum, each) => sum + each.perSecond, 0),
      cpuMicros: (running.cpuMicros() - before) / requests,
      p99Ms: Math.max(...seen.map(({ p99Ms }) => p99Ms)),
    }
  }
  const rounds: { readonly one: Round; readonly two: Round }[] = []
  for (let round = -2; round < Number(values.rounds); round++) {
    const taken = {
      one: await load(one.url, one.running, [0]),
      two: await load(two.url, two.running, cores),
    }
    if (round >= 0) rounds.push(taken) // before, the code is cold
  }
  report(rounds)
}

const report = (rounds: readonly { readonly one: Round; readonly two: Round }[]) => {
  const of = (who: 'one' | 'two', what: keyof Round) =>
    median(rounds.map((each) => each[who][what]))
  const line = (name: string, who: 'one' | 'two') => [
    name,
    of(who, 'perSecond').toFixed(0),
    of(who, 'cpuMicros').toFixed(0),
    of(who, 'p99Ms').toFixed(0),
  ]
  const times = rounds.map(({ one, two }) => two.perSecond / one.perSecond)
  console.log(
    table(
      ['', 'requests/s', 'CPU µs', 'p99 ms'],
      [line('one worker, one core', 'one'), line('two workers, two cores', 'two')],
    ),
  )
  console.log(`\ntwo carry ${rounded(median(times))} times as much as one`)
  const figures = { times: rounded(median(times)), least: rounded(Math.min(...times)), goal: 1.8 }
  console.log(`\n${lastLine('workers', figures)}`)
}

try {
  await run()
} finally {
  for (const end of ending.toReversed()) await end()
  rmSync(folder, { recursive: true })
}
