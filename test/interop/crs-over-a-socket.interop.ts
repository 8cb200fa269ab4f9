/**
 * The regression tests of CRS over a socket: bytes into the running gateway, rule ids out of its audit record. The gate is
 * set as permissive as it can be (`unusualHeaderNames: allow`, `paths: istio-decode-and-merge`); what it or Node's HTTP
 * parser still refuses never meets a rule and is counted apart, with the reason.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { parse, stringify } from 'yaml'
import type { AuditEvent } from '#contract/audit-event'
import { ids } from '#cli/demo/configs'
import { buildRequest } from '#plugins/waf/ftw/build-request'
import { reflectAnswer } from '#plugins/waf/ftw/run-stage'
import { readTests, type FtwTest, type Stage } from '#plugins/waf/ftw/read-tests'
import { testSettings } from '#plugins/waf/ftw/run-tests'
import { crsFolder, needsCrs } from '#test/conformance/crs/crs-folder'
import { recordsOf, runningMesh } from '../ways/running-mesh.ts'
import { svidFor } from './mesh-identity.ts'
import { sendRaw, type SocketAnswer } from './raw-request.ts'

const folder = crsFolder()
const exceptions = new Map(
  Object.entries(
    JSON.parse(
      readFileSync(new URL('./crs-over-a-socket.exceptions.json', import.meta.url), 'utf8'),
    ) as Record<string, string>,
  ),
)
const concurrently = 8

/** CRS with what its tests want to be set, as a plugin of CRS says such things. */
const crsForTests = (crs: string, into: string): string => {
  cpSync(join(crs, 'rules'), join(into, 'rules'), { recursive: true })
  mkdirSync(join(into, 'plugins'))
  writeFileSync(join(into, 'plugins', 'ftw-config.conf'), testSettings)
  return into
}

const setUp = async (crs: string, tests: readonly FtwTest[]) => {
  const mesh = await runningMesh()
  const svid = await svidFor(mesh, ids.orders)
  const service = createServer(
    { cert: svid.certificateChain, key: svid.privateKey.reveal(), maxHeaderSize: 65_536 },
    (req, res) => {
      const chunks: Buffer[] = []
      req.on('data', (chunk: Buffer) => chunks.push(chunk))
      req.on('end', () => {
        const body = Buffer.concat(chunks).toString('latin1')
        const answer = reflectAnswer(req.url ?? '', body)
        res.writeHead(answer.status, [...answer.headers])
        res.end(Buffer.from(answer.body, 'latin1'))
      })
    },
  )
  await once(service.listen(0, '127.0.0.1'), 'listening')
  after(() => service.close())

  type Config = Record<string, Record<string, unknown>>
  const config = parse(readFileSync(mesh.files.gateway, 'utf8')) as Config
  const { port } = service.address() as AddressInfo
  const listeners = config['listeners'] as Record<string, Record<string, unknown>>
  Object.assign(listeners['ingress'] ?? {}, {
    unusualHeaderNames: 'allow',
    paths: 'istio-decode-and-merge',
    limits: { maxHeaderBytes: 65_536, maxHeaderPairs: 500, maxTargetBytes: 65_536 },
  })
  Object.assign(config, {
    limits: { address: { points: 1_000_000, windowSeconds: 60 } },
    upstreams: { plain: { endpoints: [`https://127.0.0.1:${port}`], spiffeId: ids.orders } },
    waf: {
      crs: crsForTests(crs, join(mesh.files.folder, 'crs')),
      mode: 'detect',
      paranoia: 4,
      methods: ['GET', 'HEAD', 'POST', 'OPTIONS'],
      responses: true,
      overLimit: 'inspect-part',
    },
    routes: [
      {
        id: 'plain',
        team: 'tests',
        match: { hosts: hostsOf(tests), path: { prefix: '/' } },
        authenticate: 'none',
        policy: { requires: { public: true } },
        upstream: 'plain',
      },
    ],
  })
  writeFileSync(mesh.files.gateway, stringify(config))
  process.kill(mesh.pids().gateway, 'SIGHUP')
  await reloaded(join(mesh.files.folder, 'gateway.log'))
  const ca = readFileSync(mesh.files.outsideRoot, 'utf8')
  return { mesh, send: (bytes: Buffer) => sendRaw(mesh.ports.ingress, ca, bytes) }
}

const hostsOf = (tests: readonly FtwTest[]): readonly string[] => {
  const sent = tests.flatMap(({ stages }) =>
    stages.map((stage) => /\r\nhost: *([^\r\n:]*)/i.exec(buildRequest(stage))?.[1] ?? ''),
  )
  const isName = (host: string) => /^(?:[a-z0-9-]+\.)*[a-z][a-z0-9-]*$/.test(host)
  return [...new Set(['localhost', ...sent.filter(isName)])]
}

const reloaded = async (log: string) => {
  for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 100) {
    if (/"reloaded"/i.test(readFileSync(log, 'utf8'))) return
    await sleep(100)
  }
  throw new Error(`no reload:\n${readFileSync(log, 'utf8').slice(-2000)}`)
}

type Verdict =
  | { readonly kind: 'passed' | 'untold' }
  | { readonly kind: 'failed' | 'not-let-through'; readonly why: string }

const judge = (
  { output }: Stage,
  { status, decisionId }: SocketAnswer,
  record: AuditEvent | undefined,
): Verdict => {
  const wasInspected = record?.waf !== undefined || record?.problem === 'none'
  if (output.status === 400 || output.expect_error)
    return wasInspected ? { kind: 'failed', why: `answered ${status}` } : { kind: 'passed' }
  if (status === undefined) return { kind: 'not-let-through', why: 'the request never ends' }
  if (decisionId === undefined) return { kind: 'not-let-through', why: `HTTP parser: ${status}` }
  if (record === undefined) return { kind: 'failed', why: 'no record' }
  if (!wasInspected)
    return { kind: 'not-let-through', why: `${record.step}: ${record.detail ?? record.problem}` }
  // A record of a request in which no rule matched says nothing of rules.
  const { rules = [], moreMatches = 0 } = record.waf ?? {}
  const found = new Set(rules.map(({ id }) => id))
  const { expect_ids: expected = [], no_expect_ids: unwanted = [] } = output.log ?? {}
  // Each rule is listed before any is listed again, so only a list full of different rules hides one.
  const isCut = moreMatches > 0 && found.size === rules.length
  const faults = [
    ...expected.filter((id) => !found.has(id)).map((id) => `no ${id}`),
    ...unwanted.filter((id) => found.has(id)).map((id) => `has ${id}`),
  ]
  if (faults.some((fault) => fault.startsWith('has')) || (faults.length > 0 && !isCut))
    return { kind: 'failed', why: faults.join(', ') }
  return isCut && (faults.length > 0 || unwanted.length > 0)
    ? { kind: 'untold' }
    : { kind: 'passed' }
}

test(
  'CRS v4.25.0: what gets past the HTTP parser and the gate meets the same rules over a socket',
  needsCrs(),
  async (t) => {
    const tests = readTests(join(folder ?? '', 'tests'))
    assert.equal(tests.length, 4674, 'not the tests of v4.25.0')
    const { mesh, send } = await setUp(folder ?? '', tests)
    const answers = new Map<Stage, SocketAnswer>()
    const stages = tests.flatMap((each) => each.stages)
    const queue = stages[Symbol.iterator]()
    const worker = async () => {
      for (const stage of queue)
        answers.set(stage, await send(Buffer.from(buildRequest(stage), 'latin1')))
    }
    await Promise.all(Array.from({ length: concurrently }, worker))
    await sleep(1000) // the last records
    const records = new Map(recordsOf(mesh).map((record) => [record.decisionId, record]))

    let passed = 0
    const failures: string[] = []
    const apart = new Map<string, number>()
    let untold = 0
    const stale = new Set(exceptions.keys())
    for (const { name, stages: own } of tests) {
      const verdicts = own.map((stage): Verdict => {
        const answer = answers.get(stage) ?? { status: undefined, decisionId: undefined }
        return judge(stage, answer, records.get(answer.decisionId ?? ''))
      })
      const failed = verdicts.find(({ kind }) => kind === 'failed')
      const other = verdicts.find(({ kind }) => kind !== 'passed')
      if (failed && 'why' in failed) {
        if (!stale.delete(name)) failures.push(`${name}: ${failed.why}`)
      } else if (other?.kind === 'untold') untold++
      else if (other && 'why' in other) apart.set(other.why, (apart.get(other.why) ?? 0) + 1)
      else passed++
    }
    const sum = [...apart.values()].reduce((a, b) => a + b, 0)
    const excepted = exceptions.size - stale.size
    t.diagnostic(
      `${passed} passed, ${failures.length} failed, ${sum} not let through by the HTTP parser or gate; ` +
        `${excepted} excepted, ${untold} not to be told, as more rules matched than a record lists`,
    )
    for (const [why, count] of [...apart].sort((a, b) => b[1] - a[1]))
      t.diagnostic(`  ${count} ${why}`)
    assert.deepEqual(failures, [])
    assert.deepEqual([...stale], [], 'exceptions that pass')
    assert.ok(passed > 4500, `only ${passed} of the tests were compared`)
  },
)
