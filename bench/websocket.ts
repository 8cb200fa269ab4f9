/**
 * How much does the gateway add to the round trip of a WebSocket message? One connection that waits for each echo before
 * it sends the next, straight to the service and through the gateway, in turns; then many at once. Callers and service are
 * one process: on a busy machine the rounds to look at are the fastest, the rest is waiting for a processor.
 *
 * Run: npm run bench -- websocket [--bytes 1000]
 */
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { WebSocket, type ClientOptions } from 'ws'
import { startExchange, startGateway } from './rig/gateway.ts'
import { makeCertificates } from './rig/mesh.ts'
import { startSoakService } from './rig/soak-service.ts'
import { tokenMaker } from './rig/tokens.ts'

const { values } = parseArgs({ options: { bytes: { type: 'string', default: '1000' } } })
const bytes = Number(values.bytes)
const roundMs = 2000
const rounds = 5
const together = 50

const folder = mkdtempSync(join(tmpdir(), 'bench-websocket-'))
const ending: (() => Promise<void>)[] = []

type Place = { readonly url: string; readonly options: ClientOptions }

/** Echoes one after the other for a while; milliseconds each. */
const echo = async ({ url, options }: Place, forMs: number): Promise<readonly number[]> => {
  const socket = new WebSocket(url, options)
  await once(socket, 'open')
  const took: number[] = []
  const untilMs = performance.now() + forMs
  for (let now = performance.now(); now < untilMs;) {
    socket.send('x'.repeat(bytes))
    await once(socket, 'message')
    const next = performance.now()
    took.push(next - now)
    now = next
  }
  socket.terminate()
  return took
}

const shareOf = (took: readonly number[], share: number): number =>
  took.toSorted((a, b) => a - b)[Math.floor(took.length * share)] ?? Number.NaN

const run = async () => {
  const certificates = await makeCertificates(folder)
  const tokens = tokenMaker(folder)
  const service = await startSoakService(certificates)
  ending.push(service.close)
  const exchange = await startExchange({ folder, certificates, tokens })
  ending.push(exchange.running.stop)
  const gateway = await startGateway(
    'gateway',
    { protocol: 'http1', endpoint: service.url, route: { websocket: {} } },
    { folder, certificates, tokens, exchange },
  )
  ending.push(gateway.running.stop)
  const read = (file: string) => readFileSync(file, 'utf8')
  const places: Record<string, Place> = {
    direct: {
      url: `${service.url.replace('https:', 'wss:')}/orders/ws`,
      options: {
        ca: read(certificates.meshRoots),
        cert: read(certificates.upstream.certificate),
        key: read(certificates.upstream.key),
        checkServerIdentity: (() => undefined) as never, // its types say boolean
      },
    },
    gateway: {
      url: `wss://localhost:${new URL(gateway.url).port}/orders/ws`,
      options: {
        ca: read(certificates.edgeRoot),
        headers: { host: 'localhost', authorization: `Bearer ${tokens.token()}` },
      },
    },
  }
  const best: Record<string, { p50: number; p99: number; perSecond: number }> = {}
  for (const place of Object.values(places)) await echo(place, roundMs / 2) // warm
  for (let round = 0; round < rounds; round++)
    for (const [name, place] of Object.entries(places)) {
      const took = await echo(place, roundMs)
      const [p50, p99] = [shareOf(took, 0.5), shareOf(took, 0.99)]
      if (p50 < (best[name]?.p50 ?? Infinity)) best[name] = { p50, p99, perSecond: 0 }
    }
  for (const [name, place] of Object.entries(places)) {
    const all = await Promise.all(Array.from({ length: together }, () => echo(place, roundMs)))
    const perSecond = Math.round((all.flat().length / roundMs) * 1000)
    best[name] = { p50: NaN, p99: NaN, ...best[name], perSecond }
  }
  const machine = `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores`
  const date = new Date().toISOString().slice(0, 10)
  console.log(`${date}, ${machine}, Node ${process.version}, echoes of ${bytes} bytes\n`)
  console.log(`  ${''.padEnd(10)}  p50 ms  p99 ms  echoes/s of ${together}`)
  for (const [name, { p50, p99, perSecond }] of Object.entries(best))
    console.log(
      `  ${name.padEnd(10)}${p50.toFixed(3).padStart(8)}${p99.toFixed(3).padStart(8)}${String(perSecond).padStart(10)}`,
    )
  const addedMs = (best['gateway']?.p50 ?? NaN) - (best['direct']?.p50 ?? NaN)
  console.log(`\n  the gateway adds ${addedMs.toFixed(3)} ms to a round trip\n`)
  console.log(JSON.stringify({ bench: 'websocket', date, machine, bytes, best, addedMs }))
}

try {
  await run()
} finally {
  for (const end of ending.reverse()) await end()
  rmSync(folder, { recursive: true })
}
