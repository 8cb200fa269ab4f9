/**
 * What does a TLS handshake cost, full and resumed, beside HAProxy, Envoy and a bare TLS server of Node? CPU time of each
 * server on a core of its own, divided by handshakes; TLS 1.3, P-256, each connection ended when its handshake is done.
 * Rounds take turns; medians. Ends with one line of JSON.
 *
 * Run: npm run bench -- handshake [--rounds 3] [--seconds 2] [--at-once 16]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { askClient } from './rig/ask-client.ts'
import { startBareTls } from './rig/bare-tls.ts'
import type { Contender } from './rig/contender.ts'
import { startGateway } from './rig/gateway.ts'
import { startParts } from './rig/parts.ts'
import { startEnvoy, startHaproxy } from './rig/rivals.ts'
import { lastLine, percentile, rounded, table } from './rig/summary.ts'
import type { Handshakes } from './rig/tls-client.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '2' },
    'at-once': { type: 'string', default: '16' },
  },
})
const kinds = ['full', 'resumed'] as const
const folder = mkdtempSync(join(tmpdir(), 'bench-handshake-'))
const ending: (() => Promise<void>)[] = []

const run = async () => {
  const parts = await startParts(folder, ending)
  const { certificates } = parts
  const contenders: Contender[] = []
  const add = (contender: Contender) => {
    contenders.push(contender)
    ending.push(contender.running.stop)
  }
  add(await startGateway('gateway', { protocol: 'h2' }, parts))
  add(await startBareTls('bare server', parts))
  add(await startHaproxy('HAProxy', 'h2', parts, { resumes: true }))
  add(await startEnvoy('Envoy', 'h2', true, parts, { resumes: true }))

  const once = async ({ name, url, running }: Contender, kind: (typeof kinds)[number]) => {
    const before = running.cpuMicros()
    const seen = (await askClient(folder, {
      what: 'handshakes',
      port: Number(new URL(url).port),
      rootsFile: certificates.edgeRoot,
      resumed: kind === 'resumed',
      seconds: Number(values.seconds),
      atOnce: Number(values['at-once']),
    })) as Handshakes
    const wanted = kind === 'resumed' ? seen.handshakes : 0
    if (seen.resumed !== wanted)
      throw new Error(`${name}: of ${seen.handshakes} handshakes ${seen.resumed} were resumed`)
    return (running.cpuMicros() - before) / seen.handshakes
  }
  const all = new Map<string, number[]>()
  const keyOf = (name: string, kind: string) => `${name} ${kind}`
  // The first round is for the compilers.
  for (let round = -1; round < Number(values.rounds); round++)
    for (const kind of kinds)
      for (const contender of contenders) {
        const micros = await once(contender, kind)
        const key = keyOf(contender.name, kind)
        if (round >= 0) all.set(key, [...(all.get(key) ?? []), micros])
      }
  const micros = (name: string, kind: string) => percentile(all.get(keyOf(name, kind)) ?? [], 0.5)
  console.log(
    table(
      ['CPU µs a handshake', ...kinds],
      contenders.map(({ name }) => [name, ...kinds.map((kind) => micros(name, kind).toFixed(0))]),
    ),
  )
  const ratios = Object.fromEntries(
    contenders
      .slice(1)
      .map(({ name }) => [
        `gateway/${name}`,
        Object.fromEntries(
          kinds.map((kind) => [kind, rounded(micros('gateway', kind) / micros(name, kind))]),
        ),
      ]),
  )
  console.log(`\n${lastLine('handshake', { ratios })}`)
}

try {
  await run()
} finally {
  for (const end of ending.reverse()) await end()
  rmSync(folder, { recursive: true })
}
