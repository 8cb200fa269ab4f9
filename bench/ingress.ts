/**
 * What does one request from outside cost, beside HAProxy and Envoy that do as much of the same work as they can? CPU time
 * (user and system) of each proxy's process on a core of its own, divided by requests, TLS in and mTLS out, with wrk and
 * the upstream on the other core. All must first give the same answers. Rounds take turns; medians. Ends with one line
 * of JSON.
 *
 * Run: npm run bench -- ingress [--rounds 3] [--seconds 3] [--only gateway-h2,haproxy-h2] [--load repeated,fresh]
 *      [--connections 64] [--cpu-prof FOLDER] [--tree FOLDER,FOLDER] [--base NAME]
 *      [--attempts 3]
 *
 * `--tree` measures the gateways of other checkouts beside this one, each by the name of its folder: the way to judge a
 * change is within one run.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { upstreamProtocols, type Contender } from './rig/contender.ts'
import { startFloor } from './rig/floor.ts'
import { startExchange, startGateway } from './rig/gateway.ts'
import { measure, type Round } from './rig/measure.ts'
import { makeCertificates } from './rig/mesh.ts'
import { medians, ratios, table, type Results } from './rig/report.ts'
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
    base: { type: 'string' },
    attempts: { type: 'string', default: '3' },
  },
})

/** More than any cache here holds, so that each is new when it comes again. */
const freshTokenCount = 20_000
/** Rounds in which other programs took more cores than this are made again, up to `--attempts` times. */
const quietCores = 0.15
/** Node has compiled what is hot only after some ten thousand requests; the others are given the same. */
const warmUpRequests = { repeated: 40_000, fresh: 30_000 } as const satisfies Record<
  LoadName,
  number
>
const maxWarmUps = 15

const titles = { repeated: 'one token', fresh: 'a fresh token every request' } as const
type LoadName = keyof typeof titles

const folder = mkdtempSync(join(tmpdir(), 'bench-ingress-'))
const ending: (() => Promise<void>)[] = []

const run = async () => {
  const certificates = await makeCertificates(folder)
  const tokens = tokenMaker(folder)
  const upstream = await startUpstream(folder, certificates)
  ending.push(upstream.running.stop)
  const profile = values['cpu-prof']
  const nodeOptions = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]
  const exchange = await startExchange({ folder, certificates, tokens }, { nodeOptions })
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
  for (const contender of contenders)
    for (const load of wanted) await warmUp(contender, loads[load], warmUpRequests[load])
  const results = { repeated: new Map<string, Round[]>(), fresh: new Map<string, Round[]>() }
  const all: Running[] = [upstream.running, ...contenders.map(({ running }) => running)]
  for (let round = 0; round < Number(values.rounds); round++)
    for (const load of wanted)
      for (const contender of contenders) {
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
        const { name } = contender
        if (figures.bad > 0)
          throw new Error(
            `${name}, ${load}: ${figures.bad} bad answers, such as ${badOne(contender)}`,
          )
        results[load].set(name, [...(results[load].get(name) ?? []), figures])
      }
  report(wanted, results)
}

const warmUp = async (contender: Contender, load: object, enough: number): Promise<void> => {
  const asked = { url: `${contender.url}/orders/1`, seconds: 2, connections: 64, ...load }
  let requests = 0
  for (let tries = 0; tries < maxWarmUps && requests < enough; tries++)
    requests += (await wrk(asked)).requests
}

/** A record of what was not answered as it should be. */
const badOne = ({ records }: Contender): string =>
  readFileSync(records, 'utf8')
    .split('\n')
    .find((line) => /"problem":"(?!none)/.test(line)) ?? 'none in its records'

/** A round that others disturb is made again; the quietest of a few counts. */
const quietRound = async (make: () => Promise<Round>): Promise<Round> => {
  let quietest = await make()
  for (let made = 1; made < Number(values.attempts) && quietest.foreignCores > quietCores; made++) {
    const next = await make()
    if (next.foreignCores < quietest.foreignCores) quietest = next
  }
  return quietest
}

const report = (loads: readonly LoadName[], results: Record<LoadName, Map<string, Round[]>>) => {
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
    console.log(`\n${table(titles[load], results[load], base)}`)
  }
  const perLoad = <T>(of: (results: Results) => T) =>
    Object.fromEntries(loads.map((load) => [load, of(results[load])]))
  const figures = { cpuMicros: perLoad(medians), ratios: perLoad(ratios) }
  console.log(`\n${JSON.stringify({ bench: 'ingress', date, machine, ...versions, ...figures })}`)
}

const firstLine = (program: string, args: readonly string[]): string =>
  execFileSync(program, args, { encoding: 'utf8' }).trim().split('\n', 1)[0] ?? ''

try {
  await run()
} finally {
  for (const end of ending.reverse()) await end()
  rmSync(folder, { recursive: true })
}
