/**
 * Do two workers carry twice as much as one? A core with everything on it (load, service, a gateway of one worker) beside
 * two cores that each have as much (a load and a service each): once with a gateway of two workers, and once with two
 * gateways that know nothing of each other, which is what the machine can do, for two cores of a virtual one may be one real
 * core, and waking the other one costs. Either load asks both, and both use both services. Rounds take turns; medians. Ends
 * with one line of JSON.
 *
 * Run: npm run bench -- workers [--rounds 5] [--seconds 5] [--connections 32]
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { badOne, type Contender } from './rig/contender.ts'
import { startGateway } from './rig/gateway.ts'
import { median } from './rig/report.ts'
import { startParts } from './rig/parts.ts'
import { childrenOf, moveTo } from './rig/processes.ts'
import { startRedis } from './rig/redis.ts'
import { lastLine, rounded, table } from './rig/summary.ts'
import { startUpstream, type Upstream } from './rig/upstream.ts'
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

type Taken = Readonly<Record<'one' | 'apart' | 'two', Round>>
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

  const alone = async (name: string, core: 0 | 1, services: readonly Upstream[]) => {
    const endpoint = services.map(({ h2Port }) => `https://127.0.0.1:${h2Port}`)
    const gateway = await startGateway(name, { protocol: 'h2', endpoint }, parts)
    ending.push(gateway.running.stop)
    moveTo([core], gateway.running.pid)
    return gateway
  }
  const both = [parts.upstream, other]
  const one = await alone('one', 0, [parts.upstream])
  const apart = [await alone('apart-0', 0, both), await alone('apart-1', 1, both)]
  const redisUrl = await startRedis(folder, ending)
  const endpoint = both.map(({ h2Port }) => `https://127.0.0.1:${h2Port}`)
  const shared = { protocol: 'h2', workers: 2, redisUrl, endpoint } as const
  const two = await startGateway('two-workers', shared, parts)
  ending.push(two.running.stop)
  moveTo(cores, two.running.pid)
  for (const [i, pid] of childrenOf(two.running.pid).entries()) moveTo([i % 2], pid)

  const headers = [`Authorization: Bearer ${parts.tokens.token()}`]
  const connections = Number(values.connections)
  const seconds = Number(values.seconds)
  const load = async (on: readonly number[], gateways: readonly Contender[]): Promise<Round> => {
    const cpu = () =>
      [...new Set(gateways)].reduce((sum, { running }) => sum + running.cpuMicros(), 0)
    const before = cpu()
    const asked = { seconds, connections: connections / gateways.length, headers }
    const seen = await Promise.all(
      on.flatMap((core) =>
        gateways.map(({ url }) => wrk({ ...asked, url: `${url}/orders/1`, core })),
      ),
    )
    if (seen.some(({ bad }) => bad > 0))
      throw new Error(`not all were answered as they should be: ${gateways.map(badOne).join('\n')}`)
    return {
      perSecond: seen.reduce((sum, each) => sum + each.perSecond, 0),
      cpuMicros: (cpu() - before) / seen.reduce((sum, each) => sum + each.requests, 0),
      p99Ms: Math.max(...seen.map(({ p99Ms }) => p99Ms)),
    }
  }
  const rounds: Taken[] = []
  for (let round = -2; round < Number(values.rounds); round++) {
    const taken = {
      one: await load([0], [one]),
      apart: await load(cores, apart),
      two: await load(cores, [two, two]),
    }
    if (round >= 0) rounds.push(taken) // before, the code is cold
  }
  report(rounds)
}

const report = (rounds: readonly Taken[]) => {
  const of = (who: keyof Taken, what: keyof Round) => median(rounds.map((each) => each[who][what]))
  const line = (name: string, who: keyof Taken) => [
    name,
    of(who, 'perSecond').toFixed(0),
    of(who, 'cpuMicros').toFixed(0),
    of(who, 'p99Ms').toFixed(0),
  ]
  const times = (who: keyof Taken, than: keyof Taken) =>
    rounded(median(rounds.map((each) => each[who].perSecond / each[than].perSecond)))
  const lines = [
    line('one worker, one core', 'one'),
    line('two gateways, two cores', 'apart'),
    line('two workers, two cores', 'two'),
  ]
  console.log(table(['', 'requests/s', 'CPU µs', 'p99 ms'], lines))
  const figures = {
    twoWorkersToOne: times('two', 'one'),
    twoGatewaysToOne: times('apart', 'one'),
    twoWorkersToTwoGateways: times('two', 'apart'),
  }
  console.log(`\n${lastLine('workers', { ...figures, goal: 1.8 })}`)
}

try {
  await run()
} finally {
  for (const end of ending.toReversed()) await end()
  rmSync(folder, { recursive: true })
}
