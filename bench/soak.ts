/**
 * Does a gateway under mixed load for minutes hold on to memory or descriptors? Good callers, refused ones, those who leave
 * midway, slow ones, WebSockets and gRPC at once, over HTTP/1.1 and HTTP/2 on both sides. Fails if its live heap or its memory grows, or if a descriptor stays behind.
 *
 * Run: npm run bench -- soak [--minutes 3]
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { footprintOf, type Footprint } from './rig/footprint.ts'
import { startExchange, startGateway } from './rig/gateway.ts'
import { makeCertificates } from './rig/mesh.ts'
import { callUntil, soakCallers } from './rig/soak-callers.ts'
import { soakH2Callers } from './rig/soak-h2-callers.ts'
import { startSoakService } from './rig/soak-service.ts'
import { tokenMaker } from './rig/tokens.ts'

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '3' } } })
const minutes = Number(values.minutes)
const looks = 60
/** After the load: idle connections have ended by then, and so have all time limits. */
const settleMs = 15_000
/** What may be more at the end than in the second quarter, when all is warm. */
const growth = { heapMb: 8, rssMb: 40, descriptors: 5 }

const folder = mkdtempSync(join(tmpdir(), 'bench-soak-'))
const ending: (() => Promise<void>)[] = []

const run = async () => {
  const certificates = await makeCertificates(folder)
  const tokens = tokenMaker(folder)
  const service = await startSoakService(certificates)
  ending.push(service.close)
  const exchange = await startExchange({ folder, certificates, tokens })
  ending.push(exchange.running.stop)
  const gateway = await startGateway(
    'gateway',
    {
      protocol: 'http1',
      nodeOptions: ['--import', join(import.meta.dirname, 'rig/collect-garbage.ts')],
      endpoint: service.url,
      ingress: { limits: { headersTimeoutMs: 2000 } },
      route: { websocket: {} },
      services: {
        h2: { endpoint: service.h2Url, path: '/h2' },
        grpc: {
          endpoint: service.grpcUrl,
          path: '/test.Echo',
          route: { grpc: {}, policy: { requires: { scopes: ['orders:read'] } } },
        },
      },
    },
    { folder, certificates, tokens, exchange },
  )
  ending.push(gateway.running.stop)
  const look = () => footprintOf(gateway.running.pid, gateway.adminPort)
  const target = {
    port: Number(new URL(gateway.url).port),
    ca: readFileSync(certificates.edgeRoot, 'utf8'),
    token: tokens.token,
  }
  const end = new AbortController()
  const idle = await look()
  const overH2 = soakH2Callers(target)
  const calling = callUntil([...soakCallers(target), ...overH2.callers], end.signal)
  const seen: Footprint[] = []
  for (let i = 0; i < looks; i += 1) {
    await sleep((minutes * 60_000) / looks)
    seen.push(await look())
  }
  end.abort()
  const counts = await calling
  overH2.close()
  await sleep(settleMs)
  const after = await look()
  report(counts, seen, idle, after)
}

type Quarter = { readonly heapMb: number; readonly rssMb: number; readonly descriptors: number }

/** The least heap is what is live; of memory and descriptors the most. */
const quarterOf = (seen: readonly Footprint[]): Quarter => ({
  heapMb: Math.min(...seen.map(({ heapMb }) => heapMb)),
  rssMb: Math.max(...seen.map(({ rssMb }) => rssMb)),
  descriptors: Math.max(...seen.map(({ descriptors }) => descriptors)),
})

const report = (
  counts: Record<string, Record<string, number>>,
  seen: readonly Footprint[],
  idle: Footprint,
  after: Footprint,
) => {
  const quarters = [0, 1, 2, 3].map((i) =>
    quarterOf(seen.slice((i * looks) / 4, ((i + 1) * looks) / 4)),
  )
  const machine = `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores`
  const date = new Date().toISOString().slice(0, 10)
  console.log(`${date}, ${machine}, Node ${process.version}, ${minutes} minutes\n`)
  for (const [name, became] of Object.entries(counts))
    console.log(
      `  ${name.padEnd(18)}${Object.entries(became)
        .map(([word, count]) => `${word}: ${count}`)
        .join('  ')}`,
    )
  const line = (name: string, { heapMb, rssMb, descriptors }: Quarter) =>
    console.log(
      `  ${name.padEnd(18)}${heapMb.toFixed(1).padStart(8)}${rssMb.toFixed(0).padStart(8)}${String(descriptors).padStart(13)}`,
    )
  console.log(`\n  ${''.padEnd(18)} heap MB  RSS MB  descriptors`)
  line('before', idle)
  for (const [i, quarter] of quarters.entries()) line(`quarter ${i + 1}`, quarter)
  line('after', after)
  const [, second = quarters[0] as Quarter] = quarters
  const last = quarters.at(-1) as Quarter
  const faults = [
    ...(last.heapMb > second.heapMb + growth.heapMb ? ['the live heap grows'] : []),
    ...(last.rssMb > second.rssMb + growth.rssMb ? ['memory grows'] : []),
    ...(after.descriptors > idle.descriptors + growth.descriptors ? ['descriptors stay'] : []),
    ...(after.open > 0 ? ['something is still open'] : []),
    ...(Object.entries(counts).some(([name, became]) => !isServed(name, became))
      ? ['a good caller was not served']
      : []),
  ]
  console.log(`\n  ${faults.length === 0 ? 'holds on to nothing' : faults.join(', ')}\n`)
  const figures = { bench: 'soak', date, machine, minutes, counts, idle, quarters, after, faults }
  console.log(JSON.stringify(figures))
  process.exitCode = faults.length === 0 ? 0 : 1
}

/** Whether those who did nothing wrong, and did not leave, all got what they came for. */
const isServed = (name: string, became: Readonly<Record<string, number>>): boolean =>
  !/^(good|body|gRPC)/.test(name) ||
  name.endsWith('leaves') ||
  Object.keys(became).every((word) => word === '200' || word === 'answered')

try {
  await run()
} finally {
  for (const end of ending.reverse()) await end()
  rmSync(folder, { recursive: true })
}
