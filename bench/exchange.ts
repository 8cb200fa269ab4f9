/**
 * What does one token cost the exchange that mints it? CPU time (user and system) of its process, divided by tokens: asked
 * for as a gateway asks, over mTLS and HTTP/2 on one connection, each for a subject token that it has not seen before, so
 * many at once. With it, what its garbage collector had to keep of each, and how long it stood still. Rounds take turns;
 * medians. Ends with one line of JSON.
 *
 * Run: npm run bench -- exchange [--rounds 5] [--mints 6000] [--at-once 64] [--warm-up 30000] [--tree FOLDER,FOLDER]
 *      [--node-options=--max-semi-space-size=32]
 *
 * `--tree` measures the exchanges of other checkouts beside this one, each by the name of its folder.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { gatherGarbage, type Garbage } from './rig/garbage.ts'
import { startExchange, type Exchange } from './rig/gateway.ts'
import { makeCertificates, type Certificates } from './rig/mesh.ts'
import { mintAsker } from './rig/mint-asker.ts'
import { measuredCore, moveTo, otherCore } from './rig/processes.ts'
import { median } from './rig/report.ts'
import { lastLine, machine, percentile, rounded, table } from './rig/summary.ts'
import { tokenMaker } from './rig/tokens.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    mints: { type: 'string', default: '6000' },
    'at-once': { type: 'string', default: '64' },
    'warm-up': { type: 'string', default: '30000' },
    tree: { type: 'string' },
    'node-options': { type: 'string', default: '' },
  },
})
const rounds = Number(values.rounds)
const mints = Number(values.mints)
const atOnce = Number(values['at-once'])
const warmUp = Number(values['warm-up'])
/** Each exchange is sent all of them in turn: more than its cache holds, so that each is new when it comes again. */
const freshTokenCount = 20_000

const folder = mkdtempSync(join(tmpdir(), 'bench-exchange-'))
const ending: (() => Promise<void>)[] = []

type Contender = {
  readonly name: string
  readonly exchange: Exchange
  /** Where it tells of its garbage. */
  readonly output: string
  readonly mint: (count: number) => Promise<readonly number[]>
}

const tokens = tokenMaker(folder)
const freshTokens = tokens.freshList(freshTokenCount, 'exchange')

const start = async (name: string, tree: string | undefined): Promise<Contender> => {
  // Keys and what was issued are each one's own.
  const own = join(folder, name)
  mkdirSync(own)
  const certificates: Certificates = await makeCertificates(own)
  const nodeOptions = ['--trace-gc-nvp', ...values['node-options'].split(' ').filter(Boolean)]
  const exchange = await startExchange(
    { folder: own, certificates, tokens },
    { nodeOptions, core: measuredCore, ...(tree === undefined ? {} : { tree }) },
  )
  ending.push(exchange.running.stop)
  const asker = mintAsker(exchange.url, certificates)
  ending.push(asker.close)
  let place = 0
  const nextToken = () => freshTokens[place++ % freshTokenCount] ?? ''
  const mint = (count: number) => asker.mint(count, atOnce, nextToken)
  return { name, exchange, output: exchange.output, mint }
}

type Round = Garbage & {
  readonly cpuMicros: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const measure = async ({ exchange, output, mint }: Contender): Promise<Round> => {
  const said = readFileSync(output, 'utf8').length
  const before = exchange.running.cpuMicros()
  const tookMs = await mint(mints)
  const cpuMicros = (exchange.running.cpuMicros() - before) / mints
  const garbage = gatherGarbage(readFileSync(output, 'utf8').slice(said), mints)
  return { cpuMicros, p50Ms: percentile(tookMs, 0.5), p99Ms: percentile(tookMs, 0.99), ...garbage }
}

const columns: readonly (readonly [title: string, digits: number, pick: (of: Round) => number])[] =
  [
    ['CPU µs', 1, (round) => round.cpuMicros],
    ['p50 ms', 2, (round) => round.p50Ms],
    ['p99 ms', 2, (round) => round.p99Ms],
    ['made kB', 2, (round) => round.madeBytes / 1000],
    ['survive kB', 2, (round) => round.survivingBytes / 1000],
    ['aged kB', 2, (round) => round.agedBytes / 1000],
    ['pauses µs', 1, (round) => round.pausesMicros],
    ['longest ms', 1, (round) => round.longestPauseMs],
  ]

const report = (results: ReadonlyMap<string, readonly Round[]>) => {
  const [first = []] = results.values()
  // Round by round, since what disturbs one disturbs the next, too.
  const timesOf = (all: readonly Round[]) =>
    rounded(median(all.map(({ cpuMicros }, i) => cpuMicros / (first[i]?.cpuMicros ?? Number.NaN))))
  const { date, machine: of, node } = machine()
  console.log(`${date}, ${of}, Node ${node}`)
  console.log(
    `${rounds} rounds of ${mints} tokens, ${atOnce} at once; medians; all but times of answers and the longest pause by token\n`,
  )
  const lines = [...results].map(([name, all]) => [
    name,
    ...columns.map(([, digits, pick]) => median(all.map(pick)).toFixed(digits)),
    String(timesOf(all)),
    Math.min(...all.map(({ cpuMicros }) => cpuMicros)).toFixed(1),
  ])
  console.log(table(['', ...columns.map(([title]) => title), '× first', 'least CPU µs'], lines))
  const figures = [...results].map(([name, all]) => [
    name,
    Object.fromEntries([
      ...columns.map(([title, digits, pick]) => [title, rounded(median(all.map(pick)), digits)]),
      ['times', timesOf(all)],
    ]),
  ])
  console.log(`\n${lastLine('exchange', Object.fromEntries(figures))}`)
}

const run = async () => {
  moveTo([otherCore], process.pid)
  const contenders = [await start('exchange', undefined)]
  for (const tree of values.tree?.split(',') ?? [])
    contenders.push(await start(basename(tree), tree))
  // Node has compiled what is hot only after some ten thousand.
  for (const { mint } of contenders) await mint(warmUp)
  const results = new Map<string, Round[]>(contenders.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++)
    for (const contender of contenders) results.get(contender.name)?.push(await measure(contender))
  report(results)
}

try {
  await run()
} finally {
  for (const end of ending.reverse()) await end()
  rmSync(folder, { recursive: true })
}
