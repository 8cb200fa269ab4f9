/**
 * Do two workers carry twice as much as one? A core with everything on it (load, service, a gateway of one worker) beside
 * two cores that each have as much. Rounds take turns; medians. Ends with one line of JSON.
 *
 * What must not be measured is the machine: to wake a process on the other core costs, above all in a virtual machine. So
 * each load asks one worker, on its own core, for the service on that core, as the one load asks the one gateway: while it
 * connects, the other worker is stopped, and takes no connection. Two gateways that know nothing of each other, asked in
 * the same way, show what the machine can do. Beside them what it is when all goes across: either load asks both workers,
 * or both gateways, and both use both services.
 *
 * Run: npm run bench -- workers [--rounds 5] [--seconds 5] [--connections 32]
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { badOne } from './rig/contender.ts'
import { startGateway } from './rig/gateway.ts'
import { totalOf } from './rig/metrics.ts'
import { median } from './rig/report.ts'
import { startParts } from './rig/parts.ts'
import { childrenOf, moveTo } from './rig/processes.ts'
import { startRedis } from './rig/redis.ts'
import { lastLine, rounded, table } from './rig/summary.ts'
import { startUpstream, type Upstream } from './rig/upstream.ts'
import { wrk, type Seen } from './rig/wrk.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '32' },
  },
})
const seconds = Number(values.seconds)
const connections = Number(values.connections)
const cores = [0, 1] as const
/** Time to connect in. */
const settleMs = 500
/** Which service a load asks for: that of its own core, or both in turn. */
const paths = { 0: '/orders/1', 1: '/beside/1', both: '/both/1' } as const

const folder = mkdtempSync(join(tmpdir(), 'bench-workers-'))
const ending: (() => Promise<void>)[] = []
const stopped = new Set<number>()

type Gateway = Awaited<ReturnType<typeof startGateway>>
/** One load: on which core, of whom it asks what, and which process must not take its connections. */
type Asking = {
  readonly core: 0 | 1
  readonly gateway: Gateway
  readonly path: string
  readonly connections: number
  readonly notTo?: number | undefined
}
type Round = { readonly perSecond: number; readonly cpuMicros: number }

const kinds = {
  one: 'one worker, one core',
  apart: 'two gateways, two cores',
  two: 'two workers, two cores',
  apartAcross: 'two gateways, all goes across',
  twoAcross: 'two workers, all goes across',
} as const
type Kind = keyof typeof kinds

const run = async () => {
  if (cpus().length < cores.length) throw new Error('it takes two cores')
  const parts = await startParts(folder, ending)
  const besideFolder = join(folder, 'beside')
  mkdirSync(besideFolder)
  const beside = await startUpstream(besideFolder, parts.certificates)
  ending.push(beside.running.stop)
  moveTo([0], parts.upstream.running.pid)
  moveTo([1], beside.running.pid)
  const endpointOf = ({ h2Port }: Upstream) => `https://127.0.0.1:${h2Port}`
  const [own, other] = [endpointOf(parts.upstream), endpointOf(beside)]
  const services = {
    beside: { path: '/beside', endpoint: other },
    both: { path: '/both', endpoint: [own, other] },
  }

  const options = { protocol: 'h2', endpoint: own, services } as const
  const alone = async (name: string, core: 0 | 1) => {
    const gateway = await startGateway(name, options, parts)
    ending.push(gateway.running.stop)
    moveTo([core], gateway.running.pid)
    return gateway
  }
  const apart = [await alone('apart-0', 0), await alone('apart-1', 1)] as const
  const redisUrl = await startRedis(folder, ending)
  const two = await startGateway('two-workers', { ...options, workers: 2, redisUrl }, parts)
  ending.push(two.running.stop)
  moveTo(cores, two.running.pid)
  const workers = childrenOf(two.running.pid)
  for (const [i, pid] of workers.entries()) moveTo([i % 2], pid)

  const own0 = { core: 0, path: paths[0], connections } as const
  const own1 = { core: 1, path: paths[1], connections } as const
  const across = (gateways: readonly Gateway[]): readonly Asking[] =>
    cores.flatMap((core) =>
      gateways.map((gateway) => ({
        core,
        gateway,
        path: paths.both,
        connections: connections / gateways.length,
      })),
    )
  const asked: Readonly<Record<Kind, readonly Asking[]>> = {
    one: [{ ...own0, gateway: apart[0] }],
    apart: [
      { ...own0, gateway: apart[0] },
      { ...own1, gateway: apart[1] },
    ],
    two: [
      { ...own0, gateway: two, notTo: workers[1] },
      { ...own1, gateway: two, notTo: workers[0] },
    ],
    apartAcross: across(apart),
    twoAcross: across([two]),
  }

  const headers = [`Authorization: Bearer ${parts.tokens.token()}`]
  /** @returns Once it is connected. */
  const start = async ({ core, gateway, path, connections: count, notTo }: Asking) => {
    if (notTo !== undefined) signal(notTo, 'SIGSTOP')
    const seen = wrk({
      url: `${gateway.url}${path}`,
      seconds: Math.ceil(seconds + 3 * (settleMs / 1000)) + 1, // longer than is measured
      connections: count,
      core,
      headers,
    })
    await sleep(settleMs)
    if (notTo !== undefined) signal(notTo, 'SIGCONT')
    return { seen }
  }
  const load = async (all: readonly Asking[]): Promise<Round> => {
    const gateways = [...new Set(all.map(({ gateway }) => gateway))]
    const counted = async () => {
      const requests = await Promise.all(
        gateways.map(({ adminPort }) => totalOf(adminPort, 'sallyport_requests_total')),
      )
      return {
        requests: sum(requests),
        cpu: sum(gateways.map(({ running }) => running.cpuMicros())),
        atMs: performance.now(),
      }
    }
    const loads: { readonly seen: Promise<Seen> }[] = []
    for (const each of all) loads.push(await start(each))
    const before = await counted()
    await sleep(seconds * 1000)
    const after = await counted()
    const seen = await Promise.all(loads.map((one) => one.seen))
    if (seen.some(({ bad }) => bad > 0))
      throw new Error(`not all were answered as they should be: ${gateways.map(badOne).join('\n')}`)
    const requests = after.requests - before.requests
    return {
      perSecond: (requests * 1000) / (after.atMs - before.atMs),
      cpuMicros: (after.cpu - before.cpu) / requests,
    }
  }

  const rounds: Readonly<Record<Kind, Round>>[] = []
  for (let round = -2; round < Number(values.rounds); round++) {
    const taken = {
      one: await load(asked.one),
      apart: await load(asked.apart),
      two: await load(asked.two),
      apartAcross: await load(asked.apartAcross),
      twoAcross: await load(asked.twoAcross),
    }
    if (round >= 0) rounds.push(taken) // before, the code is cold
  }
  report(rounds)
}

/** A worker that is stopped is let go on whatever happens. */
const signal = (pid: number, name: 'SIGSTOP' | 'SIGCONT') => {
  process.kill(pid, name)
  if (name === 'SIGSTOP') stopped.add(pid)
  else stopped.delete(pid)
}

const sum = (figures: readonly number[]): number => figures.reduce((all, one) => all + one, 0)

const report = (rounds: readonly Readonly<Record<Kind, Round>>[]) => {
  const of = (kind: Kind, what: keyof Round) => median(rounds.map((each) => each[kind][what]))
  const times = (kind: Kind, than: Kind) =>
    rounded(median(rounds.map((each) => each[kind].perSecond / each[than].perSecond)))
  const lines = (Object.keys(kinds) as Kind[]).map((kind) => [
    kinds[kind],
    of(kind, 'perSecond').toFixed(0),
    of(kind, 'cpuMicros').toFixed(0),
    times(kind, 'one').toFixed(2),
  ])
  console.log(table(['', 'requests/s', 'CPU µs', 'of one'], lines))
  const figures = {
    twoWorkersToOne: times('two', 'one'),
    twoGatewaysToOne: times('apart', 'one'),
    twoWorkersToTwoGateways: times('two', 'apart'),
    twoWorkersToTwoGatewaysAcross: times('twoAcross', 'apartAcross'),
  }
  console.log(`\n${lastLine('workers', { ...figures, goal: 1.8 })}`)
}

try {
  await run()
} finally {
  for (const pid of stopped) process.kill(pid, 'SIGCONT')
  for (const end of ending.toReversed()) await end()
  rmSync(folder, { recursive: true })
}
