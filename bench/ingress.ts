/**
 * What does one request from outside cost, beside HAProxy and Envoy that do as much of the same work as they can? CPU time
 * (user and system) of each proxy's process on a core of its own, divided by requests, TLS in and mTLS out, with wrk and
 * the upstream on the other core. All must first give the same answers. Rounds take turns; medians. Ends with one line
 * of JSON.
 *
 * Run: npm run bench -- ingress [--rounds 3] [--seconds 3] [--only gateway-h2,haproxy-h2] [--load repeated,fresh]
 *      [--connections 64] [--cpu-prof FOLDER] [--tree FOLDER,FOLDER]
 *
 * `--tree` measures the gateways of other checkouts beside this one, each by the name of its folder: the way to judge a
 * change is within one run.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { upstreamProtocols, type Contender } from './rig/contender.ts'
import { startFloor } from './rig/floor.ts'
import { startExchange, startGateway } from './rig/gateway.ts'
import { measure, type Round } from './rig/measure.ts'
import { makeCertificates } from './rig/mesh.ts'
import type { Running } from './rig/processes.ts'
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
    'cpu-prof': { type: 'string' },
    tree: { type: 'string' },
  },
})

/** More than any cache here holds, so that each is new when it comes again. */
const freshTokenCount = 20_000
/** Rounds in which other programs took more than this of the machine are made again, so often. */
const quietCores = 0.15
const maxAttempts = 3
const warmUpRequests = 40_000
const maxWarmUps = 15

type LoadName = 'repeated' | 'fresh'

const folder = mkdtempSync(join(tmpdir(), 'bench-ingress-'))
const ending: (() => Promise<void>)[] = []

const run = async () => {
  const certificates = await makeCertificates(folder)
  const tokens = tokenMaker(folder)
  const upstream = await startUpstream(folder, certificates)
  ending.push(upstream.running.stop)
  const exchange = await startExchange({ folder, certificates, tokens })
  ending.push(exchange.running.stop)
  const parts = { folder, certificates, tokens, upstream, exchange }
  const profile = values['cpu-prof']
  const nodeOptions = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]

  const contenders: Contender[] = []
  const start = async (name: string, make: (name: string) => Promise<Contender>) => {
    if (values.only !== '' && !values.only.split(',').includes(name)) return
    const contender = await make(name)
    ending.push(contender.running.stop)
    contenders.push(contender)
  }
  for (const protocol of upstreamProtocols) {
    const on = (name: string) => `${name}-${protocol}`
    await start(on('gateway'), (name) => startGateway(name, { protocol, nodeOptions }, parts))
    for (const tree of values.tree?.split(',') ?? [])
      await start(on(basename(tree)), (name) => startGateway(name, { protocol, tree }, parts))
    await start(on('floor'), (name) => startFloor(name, protocol, { ...parts, nodeOptions }))
    await start(on('haproxy'), (name) => startHaproxy(name, protocol, parts))
    await start(on('envoy'), (name) => startEnvoy(name, protocol, true, parts))
    await start(on('envoy-uncached'), (name) => startEnvoy(name, protocol, false, parts))
  }
  await sleep(3000) // until the health checks of the others are through
  for (const contender of contenders)
    if (!contender.name.startsWith('floor'))
      await checkAnswers(contender, tokens, certificates.edgeRoot)

  const loads = {
    repeated: { headers: [`Authorization: Bearer ${tokens.token()}`] },
    fresh: { script: tokens.freshTokens(freshTokenCount) },
  } as const satisfies Record<LoadName, object>
  const wanted = values.load.split(',') as LoadName[]
  for (const contender of contenders) await warmUp(contender, loads.repeated)
  const results = new Map<string, Round[]>()
  const all: Running[] = [upstream.running, ...contenders.map(({ running }) => running)]
  for (let round = 0; round < Number(values.rounds); round++)
    for (const load of wanted)
      for (const contender of contenders) {
        const key = `${load} ${contender.name}`
        const others = all.filter((running) => running !== contender.running)
        const figures = await quietRound(() =>
          measure(
            contender,
            {
              ...loads[load],
              path: '/orders/1',
              seconds: Number(values.seconds),
              connections: Number(values.connections),
            },
            [exchange.running],
            others,
          ),
        )
        if (figures.bad > 0) throw new Error(`${key}: ${figures.bad} bad answers`)
        results.set(key, [...(results.get(key) ?? []), figures])
      }
  report(contenders, wanted, results)
}

/** Node has compiled what is hot only after some ten thousand requests; the others are given the same. */
const warmUp = async (contender: Contender, load: object): Promise<void> => {
  const asked = { url: `${contender.url}/orders/1`, seconds: 2, connections: 64, ...load }
  let requests = 0
  for (let tries = 0; tries < maxWarmUps && requests < warmUpRequests; tries++)
    requests += (await wrk(asked)).requests
}

/** A round that others disturb is made again; the quietest of a few counts. */
const quietRound = async (make: () => Promise<Round>): Promise<Round> => {
  let quietest = await make()
  for (let made = 1; made < maxAttempts && quietest.foreignCores > quietCores; made++) {
    const next = await make()
    if (next.foreignCores < quietest.foreignCores) quietest = next
  }
  return quietest
}

const report = (
  contenders: readonly Contender[],
  loads: readonly LoadName[],
  results: ReadonlyMap<string, readonly Round[]>,
) => {
  const machine = `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores`
  const versions = {
    node: process.version,
    haproxy: firstLine('haproxy', ['-v']).split(' ')[2] ?? '',
    envoy: /\/(\d[\d.]+)\//.exec(firstLine(envoyProgram(), ['--version']))?.[1] ?? '',
  }
  const date = new Date().toISOString().slice(0, 10)
  console.log(
    `${date}, ${machine}, Node ${versions.node}, HAProxy ${versions.haproxy}, Envoy ${versions.envoy}`,
  )
  console.log(`${values.rounds} rounds of ${values.seconds} s, ${values.connections} connections\n`)
  const micros: Record<string, Record<string, number>> = {}
  for (const load of loads) {
    console.log(
      (load === 'fresh' ? 'fresh token every request' : 'one token').padEnd(26) +
        'CPU µs (spread)   exchange µs   requests/s   p50 ms   p99 ms   core   others',
    )
    for (const { name } of contenders) {
      const rounds = results.get(`${load} ${name}`) ?? []
      const of = (pick: (round: Round) => number) => median(rounds.map(pick))
      const cpu = rounds.map((round) => round.cpuMicros)
      const spread = `${Math.min(...cpu).toFixed(1)} to ${Math.max(...cpu).toFixed(1)}`
      console.log(
        `  ${name.padEnd(22)}` +
          `${median(cpu).toFixed(1).padStart(7)} (${spread})`.padEnd(25) +
          of((round) => round.besideMicros)
            .toFixed(1)
            .padStart(8) +
          of((round) => round.perSecond)
            .toFixed(0)
            .padStart(13) +
          of((round) => round.p50Ms)
            .toFixed(2)
            .padStart(9) +
          of((round) => round.p99Ms)
            .toFixed(2)
            .padStart(9) +
          of((round) => round.coreShare)
            .toFixed(2)
            .padStart(7) +
          of((round) => round.foreignCores)
            .toFixed(2)
            .padStart(9),
      )
      micros[load] = { ...micros[load], [name]: Number(median(cpu).toFixed(1)) }
    }
    console.log()
  }
  console.log(
    JSON.stringify({
      bench: 'ingress',
      date,
      machine,
      ...versions,
      cpuMicros: micros,
      ratios: ratiosOf(micros),
    }),
  )
}

/** The gateway over each of the others, which stand with what is best for them: the cheaper of both protocols. */
const ratiosOf = (micros: Readonly<Record<string, Record<string, number>>>) => {
  const ratios: Record<string, Record<string, number>> = {}
  for (const [load, byName] of Object.entries(micros))
    for (const gateway of ['gateway-http1', 'gateway-h2'])
      for (const rival of ['haproxy', 'envoy', 'envoy-uncached']) {
        const own = byName[gateway]
        const theirs = Math.min(
          ...upstreamProtocols.flatMap((protocol) => byName[`${rival}-${protocol}`] ?? []),
        )
        if (own === undefined || !Number.isFinite(theirs)) continue
        ratios[load] = {
          ...ratios[load],
          [`${gateway}/${rival}`]: Number((own / theirs).toFixed(3)),
        }
      }
  return ratios
}

const median = (figures: readonly number[]): number =>
  figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN

const firstLine = (program: string, args: readonly string[]): string =>
  execFileSync(program, args, { encoding: 'utf8' }).trim().split('\n', 1)[0] ?? ''

try {
  await run()
} finally {
  for (const end of ending.reverse()) await end()
  rmSync(folder, { recursive: true })
}
