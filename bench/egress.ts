/**
 * What does a tunnel cost? Opening one by CONNECT and moving bytes through it, beside Squid and beside a bare pipe of
 * `node:net`, with TLS and without; then the memory of idle ones, and of as many that are only piped from TLS. CPU time of the proxy on a core of its own; the other
 * core has the load and the destination. Rounds take turns; medians. Ends with one line of JSON.
 *
 * Run: npm run bench -- egress [--rounds 3] [--opens 1000] [--megabytes 512] [--tunnels 9900]; with `--rounds 0` memory alone
 *
 * A tunnel takes two file descriptors of the proxy: see `ulimit -n`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { rssMbOf } from './rig/footprint.ts'
import { startExchange, type Exchange } from './rig/gateway.ts'
import { makeCertificates } from './rig/mesh.ts'
import { median } from './rig/report.ts'
import { tokenMaker } from './rig/tokens.ts'
import {
  startBarePipe,
  startEgress,
  startSquid,
  startTunnelEnd,
  type OpenTunnel,
  type TunnelContender,
  type TunnelParts,
} from './rig/tunnel-contenders.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    opens: { type: 'string', default: '1000' },
    megabytes: { type: 'string', default: '512' },
    tunnels: { type: 'string', default: '9900' },
  },
})
const rounds = Number(values.rounds)
const opens = Number(values.opens)
const bytes = Number(values.megabytes) * 1_000_000
const tunnels = Number(values.tunnels)
const openers = 16

const folder = mkdtempSync(join(tmpdir(), 'bench-egress-'))
const ending: (() => Promise<void>)[] = []

type Figures = {
  readonly perSecond: number
  readonly cpuMicros: number
  /** Of the load and the destination, which share a core: whichever core is busier limits what gets through. */
  readonly otherCpuMicros: number
}

/** Does something `count` times, so many at once. */
const times = async (count: number, atOnce: number, once_: () => Promise<void>): Promise<void> => {
  let left = count
  const worker = async () => {
    for (; left > 0;) {
      left -= 1
      await once_()
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

/** CPU time so far of ourselves, who are the load. */
const ownCpuMicros = (): number => {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** Each on a connection of its own, as most clients do; what is counted is from the handshake to the answer. */
const openRate = async (
  { open, running }: TunnelContender,
  otherCpu: () => number,
): Promise<Figures> => {
  const [cpu, other] = [running.cpuMicros(), otherCpu()]
  const began = performance.now()
  await times(opens, openers, async () => void (await open()).socket.destroy())
  const seconds = (performance.now() - began) / 1000
  return {
    perSecond: opens / seconds,
    cpuMicros: (running.cpuMicros() - cpu) / opens,
    otherCpuMicros: (otherCpu() - other) / opens,
  }
}

/** One tunnel, from the destination to the workload; CPU is for a megabyte. */
const throughput = async (
  { open, running }: TunnelContender,
  otherCpu: () => number,
): Promise<Figures> => {
  const { socket, read } = await open()
  const [cpu, other] = [running.cpuMicros(), otherCpu()]
  const began = performance.now()
  let left = bytes
  socket.write(`send ${bytes}\n`)
  await new Promise<void>((resolve, reject) => {
    socket.once('close', () => reject(new Error('the tunnel ended early')))
    read((chunk) => {
      left -= chunk.length
      if (left <= 0) resolve()
    })
  })
  const seconds = (performance.now() - began) / 1000
  const each = (micros: number) => micros / (bytes / 1e6)
  const figures = {
    perSecond: bytes / 1e6 / seconds,
    cpuMicros: each(running.cpuMicros() - cpu),
    otherCpuMicros: each(otherCpu() - other),
  }
  socket.destroy()
  return figures
}

const idle = async ({ open, running }: TunnelContender) => {
  await sleep(2000)
  const beforeMb = rssMbOf(running.pid)
  const open_: OpenTunnel[] = []
  await times(tunnels, openers, async () => void open_.push(await open()))
  await sleep(3000)
  const afterMb = rssMbOf(running.pid)
  const alive = open_.filter(({ socket }) => !socket.destroyed).length
  const probe = open_.at(-1)
  if (!probe) throw new Error('no tunnel was opened')
  const answered = new Promise<number>((resolve) => probe.read(({ length }) => resolve(length)))
  probe.socket.write('send 5\n')
  const answerBytes = await answered
  for (const { socket } of open_) socket.destroy()
  if (alive < tunnels || answerBytes !== 5) throw new Error(`${alive} of ${tunnels} are open`)
  return { tunnels: alive, rssMb: afterMb, kbEach: ((afterMb - beforeMb) * 1000) / alive }
}

const startAll = async (
  mesh: TunnelParts & { readonly exchange: Exchange },
): Promise<readonly TunnelContender[]> => {
  const all = [
    await startEgress('gateway', tunnels, mesh),
    await startSquid('squid', mesh),
    await startBarePipe('bare TLS pipe', true, mesh),
    await startBarePipe('bare pipe', false, mesh),
  ]
  for (const { running } of all) ending.push(running.stop)
  return all
}

const run = async () => {
  const certificates = await makeCertificates(folder)
  const end = await startTunnelEnd(folder)
  ending.push(end.running.stop)
  const mesh = { folder, certificates, tokens: tokenMaker(folder), targetPort: end.port }
  const exchange = await startExchange(mesh)
  ending.push(exchange.running.stop)
  const contenders = rounds === 0 ? [] : await startAll({ ...mesh, exchange })

  const otherCpu = () => ownCpuMicros() + end.running.cpuMicros()
  const opened = new Map<string, Figures[]>()
  const moved = new Map<string, Figures[]>()
  for (let round = -1; contenders.length > 0 && round < rounds; round += 1)
    for (const contender of contenders) {
      const open = await openRate(contender, otherCpu)
      const move = await throughput(contender, otherCpu)
      if (round < 0) continue // to warm up
      opened.set(contender.name, [...(opened.get(contender.name) ?? []), open])
      moved.set(contender.name, [...(moved.get(contender.name) ?? []), move])
    }
  const of = (map: typeof opened, name: string, pick: (one: Figures) => number) =>
    median((map.get(name) ?? []).map(pick))
  console.log(
    `${'medians'.padEnd(18)}${'tunnels/s'.padStart(12)}${'CPU µs each'.padStart(14)}${'MB/s'.padStart(10)}${'CPU µs/MB'.padStart(12)}${'of the load'.padStart(14)}`,
  )
  const cells = (name: string) => [
    of(opened, name, (one) => one.perSecond),
    of(opened, name, (one) => one.cpuMicros),
    of(moved, name, (one) => one.perSecond),
    of(moved, name, (one) => one.cpuMicros),
    of(moved, name, (one) => one.otherCpuMicros),
  ]
  for (const { name } of contenders) {
    const [a = 0, b = 0, c = 0, d = 0, e = 0] = cells(name)
    console.log(
      `${name.padEnd(18)}${a.toFixed(0).padStart(12)}${b.toFixed(0).padStart(14)}${c.toFixed(0).padStart(10)}${d.toFixed(0).padStart(12)}${e.toFixed(0).padStart(14)}`,
    )
  }
  const fresh = await startEgress('gateway-idle', tunnels, { ...mesh, exchange })
  ending.push(fresh.running.stop)
  const held = await idle(fresh)
  await fresh.running.stop()
  const bareIdle = await startBarePipe('bare TLS pipe, idle', true, mesh)
  ending.push(bareIdle.running.stop)
  const bare = await idle(bareIdle)
  for (const [name, { tunnels: open, rssMb, kbEach }] of [
    ['gateway', held],
    ['bare TLS pipe', bare],
  ] as const)
    console.log(
      `${name}: ${open} idle tunnels, ${rssMb.toFixed(0)} MB in all, ${kbEach.toFixed(1)} kB each`,
    )
  const ratio = (at: 0 | 2 | 3, other: string) =>
    Number(((cells('gateway')[at] ?? 0) / (cells(other)[at] ?? 0)).toFixed(3))
  console.log(
    JSON.stringify({
      bench: 'egress',
      machine: cpus()[0]?.model,
      node: process.version,
      date: new Date().toISOString().slice(0, 10),
      opensToSquid: ratio(0, 'squid'),
      throughputToSquid: ratio(2, 'squid'),
      throughputToBareTlsPipe: ratio(2, 'bare TLS pipe'),
      throughputToBarePipe: ratio(2, 'bare pipe'),
      cpuOfBarePipeToOurs: Number((1 / ratio(3, 'bare pipe')).toFixed(3)),
      idleTunnels: held.tunnels,
      idleRssMb: Math.round(held.rssMb),
      idleKbEach: Number(held.kbEach.toFixed(1)),
      bareIdleKbEach: Number(bare.kbEach.toFixed(1)),
    }),
  )
}

try {
  await run()
} finally {
  for (const end of ending.reverse()) await end()
  rmSync(folder, { recursive: true, force: true })
}
