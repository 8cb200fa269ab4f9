/**
 * What does a connection hold that asks for nothing, beside a bare TLS server of Node? Resident memory of a gateway with
 * its firewall off, of what `npm run build` makes and of the sources, and of the other, before and after so many
 * connections have asked once each and then are idle. Ends with one line of JSON, and with 1 where what is built misses a
 * goal.
 *
 * Run: npm run bench -- memory [--connections 1000,10000]
 *
 * The client keeps as many sockets as the server: see `ulimit -n`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startClient } from './rig/ask-client.ts'
import { startBareTls } from './rig/bare-tls.ts'
import type { Contender } from './rig/contender.ts'
import { rssMbOf } from './rig/footprint.ts'
import { startGateway } from './rig/gateway.ts'
import { builtTree, startParts } from './rig/parts.ts'
import { lastLine, rounded, table } from './rig/summary.ts'

const { values } = parseArgs({
  options: { connections: { type: 'string', default: '1000,10000' } },
})
const counts = values.connections.split(',').map(Number)
const goals = { kbEach: 90, rssMbAt1000: 200 } as const
/** For what has to end and be collected after a start, or after the last handshake. */
const restMs = 8000
const patienceMs = 3_600_000

const folder = mkdtempSync(join(tmpdir(), 'bench-memory-'))
const ending: (() => Promise<void>)[] = []

const built = 'gateway, built'
const bare = 'bare server'

type Line = {
  readonly name: string
  readonly connections: number
  readonly emptyMb: number
  readonly rssMb: number
  readonly kbEach: number
}

const run = async () => {
  const tree = builtTree()
  const parts = await startParts(folder, ending)
  const { certificates } = parts
  const ingress = {
    limits: { keepAliveTimeoutMs: patienceMs, maxConnections: 100_000 },
  }
  const gateway = (options: object) => (name: string) =>
    startGateway(name, { protocol: 'h2', ingress, ...options }, parts)
  const kinds: readonly (readonly [string, (name: string) => Promise<Contender>])[] = [
    [built, gateway({ tree })],
    ['gateway, sources', gateway({})],
    [bare, (name) => startBareTls(name, parts)],
  ]
  const lines: Line[] = []
  for (const connections of counts)
    for (const [name, start] of kinds) {
      const { url, running } = await start(`${name.replaceAll(/\W+/g, '-')}-${connections}`)
      ending.push(running.stop)
      await sleep(restMs)
      const emptyMb = rssMbOf(running.pid)
      const client = await startClient(folder, {
        what: 'idle',
        port: Number(new URL(url).port),
        rootsFile: certificates.edgeRoot,
        connections,
      })
      ending.push(client.running.stop)
      await sleep(restMs)
      const rssMb = rssMbOf(running.pid)
      const { open } = client.line as { readonly open: number }
      lines.push({
        name,
        connections: open,
        emptyMb: rounded(emptyMb, 0),
        rssMb: rounded(rssMb, 0),
        kbEach: rounded(((rssMb - emptyMb) * 1000) / open, 1),
      })
      await client.running.stop()
      await running.stop()
    }
  console.log(
    table(
      ['idle connections', 'open', 'MB before', 'MB', 'kB each'],
      lines.map(({ name, connections, emptyMb, rssMb, kbEach }) => [
        name,
        ...[connections, emptyMb, rssMb, kbEach].map(String),
      ]),
    ),
  )
  const ours = lines.filter(({ name }) => name === built)
  const toBare = Object.fromEntries(
    ours.map(({ connections, rssMb, kbEach }) => {
      const other = lines.find((one) => one.name === bare && one.connections === connections)
      const over = (mine: number, theirs = Number.NaN) => rounded(mine / theirs, 2)
      return [connections, { rss: over(rssMb, other?.rssMb), each: over(kbEach, other?.kbEach) }]
    }),
  )
  console.log(`\n${lastLine('memory', { goals, toBare, lines })}`)
  const isMissed = ours.some(
    ({ connections, rssMb, kbEach }) =>
      kbEach > goals.kbEach || (connections === 1000 && rssMb > goals.rssMbAt1000),
  )
  process.exitCode = isMissed ? 1 : 0
}

try {
  await run()
} finally {
  for (const end of ending.reverse()) await end()
  rmSync(folder, { recursive: true })
}
