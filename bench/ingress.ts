/**
 * What does one request from outside cost, beside HAProxy and Envoy that do as much of the same work as they can, and
 * `@fastify/http-proxy` that does none? CPU time
 * (user and system) of each proxy's process on a core of its own, divided by requests, TLS in and mTLS out, with wrk and
 * the upstream on the other core. All must first give the same answers. Rounds take turns; medians. Ends with one line
 * of JSON.
 *
 * Run: npm run bench -- ingress [--rounds 3] [--seconds 3] [--only gateway-h2,haproxy-h2] [--connections 64]
 *      [--load repeated,fresh,each-route,kib-1,kib-100] [--routes 10,10000] [--issuers 1,1000] [--workers 1,2]
 *      [--cpu-prof FOLDER] [--tree FOLDER,FOLDER] [--base NAME] [--attempts 3]
 *      [--warm-ups 15] [--built]
 *
 * Loads: one token; a new one with each request; every request to another route (gateways only); bodies of so many KiB
 * each way. `--routes`, `--issuers` and `--workers` add gateways with more of them than the first that is named, to
 * HTTP/2: what they cost beside it says whether it grows. Workers share the core, so that it is their CPU that is
 * compared, with as many connections for each: N of them on N cores carry N divided by that as much, or more, for there
 * they need not take turns in one core's caches.
 *
 * With `--built` gateways and exchange are what is published, not the sources.
 *
 * `--tree` measures the gateways of other checkouts beside this one, each by the name of its folder: the way to judge a
 * change is within one run.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { oncePer } from '#contract/once-per'
import { badOne, upstreamProtocols, type Contender } from './rig/contender.ts'
import { startFloor, startPlainProxy } from './rig/floor.ts'
import { startExchange, startGateway, type GatewayOptions } from './rig/gateway.ts'
import { measure, type Round } from './rig/measure.ts'
import { makeCertificates } from './rig/mesh.ts'
import { builtTree } from './rig/parts.ts'
import { medians, ratio, ratios, table, type Results } from './rig/report.ts'
import type { Running } from './rig/processes.ts'
import { startRedis } from './rig/redis.ts'
import { envoyProgram, startEnvoy, startHaproxy } from './rig/rivals.ts'
import { checkAnswers } from './rig/same-answers.ts'
import { tokenMaker } from './rig/tokens.ts'
import { startUpstream } from './rig/upstream.ts'
import { wrk } from './rig/wrk.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '64' },
    only: { type: 'string', default: '' },
    load: { type: 'string', default: 'repeated,fresh' },
    routes: { type: 'string', default: '10' },
    issuers: { type: 'string', default: '1' },
    workers: { type: 'string', default: '1' },
    'cpu-prof': { type: 'string' },
    tree: { type: 'string' },
    base: { type: 'string' },
    attempts: { type: 'string', default: '3' },
    'warm-ups': { type: 'string', default: '15' },
    built: { type: 'boolean', default: false },
  },
})

/** More than any cache here holds (the exchange's 10,000), so that each is new when it comes again. */
const freshTokenCount = 20_000
/** Rounds in which other programs took more cores than this are made again, up to `--attempts` times. */
const quietCores = 0.15
/** Node has compiled what is hot only after some ten thousand requests; the others are given the same. */
const warmUpRequests = {
  repeated: 40_000,
  fresh: 30_000,
  'each-route': 20_000,
  'kib-1': 10_000,
  'kib-100': 3000,
} as const satisfies Record<LoadName, number>
const maxWarmUps = Number(values['warm-ups'])

const titles = {
  repeated: 'one token',
  fresh: 'a fresh token every request',
  'each-route': 'every request another route',
  'kib-1': '1 KiB each way',
  'kib-100': '100 KiB each way',
} as const
type LoadName = keyof typeof titles

/** What is there first, and what more there is to be compared with it. */
const varied = {
  routes: values.routes.split(',').map(Number),
  issuers: values.issuers.split(',').map(Number),
  workers: values.workers.split(',').map(Number),
} as const satisfies Partial<Record<keyof GatewayOptions, readonly number[]>>
const usual = {
  routes: varied.routes[0] ?? 10,
  issuers: varied.issuers[0] ?? 1,
  workers: varied.workers[0] ?? 1,
}
const larger = Object.entries(varied).flatMap(([what, [, ...counts]]) =>
  counts.map((count) => ({ name: `gateway-h2-${count}-${what}`, what, count })),
)

const folder = mkdtempSync(join(tmpdir(), 'bench-ingress-'))
const ending: (() => Promise<void>)[] = []

const run = async () => {
  const certificates = await makeCertificates(folder)
  const tokens = tokenMaker(folder)
  const upstream = await startUpstream(folder, certificates)
  ending.push(upstream.running.stop)
  const profile = values['cpu-prof']
  const nodeOptions = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]
  const own = values.built ? { nodeOptions, tree: builtTree() } : { nodeOptions }
  const exchange = await startExchange({ folder, certificates, tokens }, own)
  ending.push(exchange.running.stop)
  const parts = { folder, certificates, tokens, upstream, exchange }

  const contenders: Contender[] = []
  const start = async (name: string, make: (name: string) => Promise<Contender>) => {
    if (values.only !== '' && !values.only.split(',').includes(name)) return
    const contender = await make(name)
    ending.push(contender.running.stop)
    contenders.push(contender)
  }
  for (const protocol of upstreamProtocols) {
    const on = (name: string) => `${name}-${protocol}`
    await start(on('gateway'), (name) => startGateway(name, { ...usual, protocol, ...own }, parts))
    for (const tree of values.tree?.split(',') ?? [])
      await start(on(basename(tree)), (name) =>
        startGateway(name, { ...usual, protocol, tree }, parts),
      )
    await start(on('floor'), (name) => startFloor(name, protocol, { ...parts, nodeOptions }))
    await start(on('http-proxy'), (name) =>
      startPlainProxy(name, protocol, Number(values.connections), { ...parts, nodeOptions }),
    )
    await start(on('haproxy'), (name) => startHaproxy(name, protocol, parts))
    await start(on('envoy'), (name) => startEnvoy(name, protocol, true, parts))
    await start(on('envoy-uncached'), (name) => startEnvoy(name, protocol, false, parts))
  }
  const redisUrl = varied.workers.some((count) => count > 1)
    ? await startRedis(folder, ending)
    : undefined
  for (const { name, what, count } of larger)
    await start(name, () =>
      startGateway(name, { ...usual, redisUrl, protocol: 'h2', ...own, [what]: count }, parts),
    )
  await sleep(3000) // until the health checks of the others are through
  for (const contender of contenders)
    if (!/^(floor|http-proxy)/.test(contender.name))
      await checkAnswers(contender, tokens, certificates.edgeRoot)

  const headers = [`Authorization: Bearer ${tokens.token()}`]
  const eachRoute = (name: string) => ({
    headers,
    script: script(
      'each-route',
      name,
      `local i = 0
request = function()
  i = i % ${(larger.find((one) => one.name === name && one.what === 'routes')?.count ?? usual.routes) - 1} + 1
  return wrk.format("GET", string.format("/tenants/%d/services/%d", (i - 1) % 100, i - 1))
end
`,
    ),
  })
  const bodies = (kib: number) => ({
    headers,
    path: `/orders/bodies/${kib}`,
    script: script(
      'bodies',
      String(kib),
      `wrk.method = "POST"\nwrk.body = string.rep("x", ${kib * 1024})\n`,
    ),
  })
  const fresh = oncePer(({ name }: Contender) => ({
    script: tokens.freshTokens(freshTokenCount, name),
  }))
  const loadFor = (load: LoadName, contender: Contender): LoadOf => {
    const { name } = contender
    switch (load) {
      case 'repeated':
        return { headers }
      case 'fresh':
        return fresh(contender)
      case 'each-route':
        return eachRoute(name)
      case 'kib-1':
        return bodies(1)
      case 'kib-100':
        return bodies(100)
      default:
        return load satisfies never
    }
  }
  /** Only the gateways have more routes than one. */
  const takesPart = (load: LoadName, { name }: Contender) =>
    load !== 'each-route' || !/^(floor|http-proxy|haproxy|envoy)/.test(name)
  const wanted = values.load.split(',') as LoadName[]
  for (const contender of contenders)
    for (const load of wanted)
      if (takesPart(load, contender))
        await warmUp(
          contender,
          loadFor(load, contender),
          warmUpRequests[load] * workersOf(contender.name),
        )
  const results = new Map(wanted.map((load) => [load, new Map<string, Round[]>()]))
  const all: Running[] = [upstream.running, ...contenders.map(({ running }) => running)]
  for (let round = 0; round < Number(values.rounds); round++)
    for (const load of wanted)
      for (const contender of contenders) {
        if (!takesPart(load, contender)) continue
        const { name } = contender
        const others = all.filter((running) => running !== contender.running)
        const figures = await quietRound(() =>
          measure(
            contender,
            {
              path: '/orders/1',
              ...loadFor(load, contender),
              seconds: Number(values.seconds),
              connections: Number(values.connections) * workersOf(name),
            },
            [exchange.running],
            others,
          ),
        )
        if (figures.requests === 0)
          throw new Error(
            `${name}, ${load}: not one answer in ${values.seconds} s, the handshakes included; give it more --seconds`,
          )
        if (figures.bad > 0)
          throw new Error(
            `${name}, ${load}: ${figures.bad} bad answers, such as ${badOne(contender)}`,
          )
        const rounds = results.get(load)
        rounds?.set(name, [...(rounds.get(name) ?? []), figures])
      }
  report(wanted, results)
}

type LoadOf = {
  readonly headers?: readonly string[]
  readonly script?: string
  readonly path?: string
}

/** Times those of the first gateway. Each worker is given as many connections as the one has. */
const workersOf = (name: string): number =>
  (larger.find((one) => one.name === name && one.what === 'workers')?.count ?? usual.workers) /
  usual.workers

const script = (kind: string, name: string, text: string): string => {
  const file = join(folder, `${kind}-${name}.lua`)
  writeFileSync(file, text)
  return file
}

const warmUp = async (
  contender: Contender,
  { path = '/orders/1', ...load }: LoadOf,
  enough: number,
): Promise<void> => {
  const asked = { url: `${contender.url}${path}`, seconds: 2, connections: 64, ...load }
  let requests = 0
  for (let tries = 0; tries < maxWarmUps && requests < enough; tries++)
    requests += (await wrk(asked)).requests
}

/** A round that others disturb is made again; the quietest of a few counts. */
const quietRound = async (make: () => Promise<Round>): Promise<Round> => {
  let quietest = await make()
  for (let made = 1; made < Number(values.attempts) && quietest.foreignCores > quietCores; made++) {
    const next = await make()
    if (next.foreignCores < quietest.foreignCores) quietest = next
  }
  return quietest
}

const report = (
  loads: readonly LoadName[],
  results: ReadonlyMap<LoadName, Map<string, Round[]>>,
) => {
  const of = (load: LoadName): Results => results.get(load) ?? new Map()
  const date = new Date().toISOString().slice(0, 10)
  const machine = `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores`
  const versions = {
    node: process.version,
    haproxy: firstLine('haproxy', ['-v']).split(' ')[2] ?? '',
    envoy: /\/(\d[\d.]+)\//.exec(firstLine(envoyProgram(), ['--version']))?.[1] ?? '',
  }
  const { node, haproxy, envoy } = versions
  console.log(`${date}, ${machine}, Node ${node}, HAProxy ${haproxy}, Envoy ${envoy}`)
  console.log(`${values.rounds} rounds of ${values.seconds} s, ${values.connections} connections`)
  for (const load of loads) {
    const base = values.base ?? 'haproxy-http1'
    console.log(`\n${table(titles[load], of(load), base)}`)
  }
  const perLoad = <T>(figure: (results: Results) => T) =>
    Object.fromEntries(loads.map((load) => [load, figure(of(load))]))
  const figures = { cpuMicros: perLoad(medians), ratios: perLoad(ratios), growth: perLoad(growth) }
  console.log(`\n${JSON.stringify({ bench: 'ingress', date, machine, ...versions, ...figures })}`)
}

/** What a gateway that has more costs for what one with less costs for one; what so many workers carry for what one does. */
const growth = (results: Results): Readonly<Record<string, number>> =>
  Object.fromEntries(
    larger.flatMap(({ name, what, count }) => {
      const times = ratio(results.get(name), results.get('gateway-h2'))
      if (times === undefined) return []
      const carried = (count / usual.workers / times).toFixed(3)
      return [what === 'workers' ? [`${name}/carries`, Number(carried)] : [name, times]]
    }),
  )

const firstLine = (program: string, args: readonly string[]): string =>
  execFileSync(program, args, { encoding: 'utf8' }).trim().split('\n', 1)[0] ?? ''

try {
  await run()
} finally {
  for (const end of ending.reverse()) await end()
  rmSync(folder, { recursive: true })
}
