import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { Value } from 'typebox/value'
import { parse } from 'yaml'
import { run } from '#cli/egress'
import type { AuditEvent, EgressRecord } from '#contract/audit-event'
import type { EgressTarget } from '#contract/egress'
import type { SpiffeId } from '#contract/spiffe-id'
import { egressAllowlist } from '#plugins/egress-allowlist/guard'
import { EgressRule } from '#plugins/egress-allowlist/options'
import { commandHere } from './command-here.ts'

const folder = mkdtempSync(join(tmpdir(), 'sallyport-suggest-'))
after(() => rmSync(folder, { recursive: true }))
const spiffeId = 'spiffe://mesh.example/ns/new/sa/shop' as SpiffeId

/** As an operator types it, with records on standard input. */
const typed = (args: readonly string[], input: string) => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(import.meta.dirname, '../../cli/sallyport.ts'), 'egress', ...args],
    { cwd: folder, encoding: 'utf8', input, timeout: 30_000 },
  )
  return { status, stdout, stderr }
}
const sallyport = (args: readonly string[]) => commandHere(run, args, folder)

type Went = Partial<Omit<EgressRecord, 'wouldRefuse'>> & {
  readonly wouldRefuse?: EgressRecord['wouldRefuse'] | undefined
  readonly method?: string
  readonly path?: string
  readonly outcome?: AuditEvent['outcome']
  readonly as?: string
}
const recordOf = ({ method = 'CONNECT', path = '', outcome = 'forwarded', as, ...egress }: Went) =>
  JSON.stringify({
    version: 1,
    kind: 'egress',
    time: '2026-11-26T00:00:00.000Z',
    decisionId: 'x',
    outcome,
    request: { method, path },
    spiffeId: as ?? spiffeId,
    egress: {
      phase: 'opened',
      host: 'api.test',
      port: 443,
      protocol: 'tls',
      rule: 'new',
      mode: 'report',
      reason: 'not-listed',
      wouldRefuse: 'not-listed',
      ...egress,
    },
  })
const suggested = async (went: readonly Went[], args: readonly string[] = []) => {
  writeFileSync(join(folder, 'records.jsonl'), went.map(recordOf).join('\n'))
  const { status, stdout, stderr } = await sallyport(['suggest', ...args, 'records.jsonl'])
  assert.equal(status, 0, stderr)
  return stdout
}
type Rules = readonly { readonly id: string; readonly destinations: readonly object[] }[]
const rulesIn = (yaml: string) => (parse(yaml) ?? []) as Rules

/** The guard, told of what was suggested and enforcing it. */
const enforcing = (yaml: string) => {
  const rules = rulesIn(yaml).map((rule) =>
    Value.Default(EgressRule, { ...rule, team: 'shop', workloads: [spiffeId], mode: 'enforce' }),
  )
  for (const rule of rules) assert.deepEqual([...Value.Errors(EgressRule, rule)], [])
  const guard = egressAllowlist({
    deny: [],
    allow: [],
    rules: rules as EgressRule[],
    nat64Prefixes: [],
  })
  return (host: string, port: number, ask: EgressTarget['ask'] = { kind: 'tunnel' }) =>
    guard.decide({ spiffeId, host, port, isAddress: false, ask }).ok
}
const plain = (method: string, path: string) =>
  ({ kind: 'request', scheme: 'http', method, path }) as const

suite('sallyport egress suggest', () => {
  test('lists what was let through and would be refused, and the guard then lets that through and nothing beside it', async () => {
    const http = { protocol: 'http', port: 80, phase: 'whole', host: 'hooks.test' } as const
    const lets = enforcing(
      await suggested([
        {},
        { host: 'files.test' },
        { host: 'odd.test', port: 80 },
        { ...http, method: 'POST', path: '/orders' },
        { ...http, method: 'GET', path: '/health' },
      ]),
    )
    const seen = [
      lets('api.test', 443),
      lets('files.test', 443),
      lets('odd.test', 80),
      lets('hooks.test', 80, plain('POST', '/orders')),
      lets('hooks.test', 80, plain('GET', '/health')),
    ]
    assert.deepEqual(seen, [true, true, true, true, true])
    const beside = [
      lets('api.test', 80),
      lets('x.api.test', 443),
      lets('odd.test', 443),
      lets('hooks.test', 443),
      lets('hooks.test', 80, plain('GET', '/orders')),
      lets('hooks.test', 80, plain('POST', '/')),
      lets('api.test', 80, plain('POST', '/orders')),
    ]
    assert.deepEqual(
      beside,
      beside.map(() => false),
    )
  })

  test('makes one entry of hosts that differ in nothing else, the busiest first', async () => {
    const yaml = await suggested([
      {},
      { host: 'files.test' },
      { host: 'files.test', as: `${spiffeId}2` },
    ])
    assert.deepEqual(rulesIn(yaml), [
      { id: 'new', destinations: [{ hosts: ['files.test', 'api.test'] }] },
    ])
    assert.match(yaml, /"files\.test" # 2 times, by 2 workloads, last 2026-11-26T/)
    assert.match(yaml, /"api\.test" # 1 time, by 1 workload, /)
  })

  test('cuts paths that are too many to be read to what they begin with', async () => {
    const went = Array.from({ length: 50 }, (_, i) => ({
      protocol: 'http' as const,
      phase: 'whole' as const,
      port: 80,
      method: 'GET',
      path: `/orders/${i}/lines`,
    }))
    assert.deepEqual(rulesIn(await suggested(went)), [
      {
        id: 'new',
        destinations: [
          { hosts: ['api.test'], protocol: 'http', methods: ['GET'], paths: ['/orders'] },
        ],
      },
    ])
  })

  for (const [what, went] of Object.entries({
    'was refused all the same': { outcome: 'refused', phase: 'whole' },
    'could not be reached': { outcome: 'failed', phase: 'whole' },
    'is listed already': { wouldRefuse: undefined, reason: 'listed' },
    'was counted when it opened': { phase: 'closed' },
  } satisfies Record<string, Went>))
    test(`leaves out what ${what}`, async () => assert.equal(await suggested([went]), ''))

  test('is about one rule, if told so', async () => {
    const went = [{}, { rule: 'other', host: 'other.test' }]
    assert.deepEqual(
      rulesIn(await suggested(went)).map(({ id }) => id),
      ['new', 'other'],
    )
    assert.deepEqual(
      rulesIn(await suggested(went, ['--rule', 'other'])).map(({ id }) => id),
      ['other'],
    )
  })

  test('reads several files, and says how many lines are no records', async () => {
    writeFileSync(join(folder, 'one.jsonl'), `${recordOf({})}\n`)
    writeFileSync(join(folder, 'two.jsonl'), `${recordOf({ host: 'files.test' })}\n{"half":`)
    const { status, stdout, stderr } = await sallyport(['suggest', 'one.jsonl', 'two.jsonl'])
    assert.deepEqual([status, stderr], [0, 'Lines that are no records: 1\n'])
    assert.deepEqual(rulesIn(stdout), [
      { id: 'new', destinations: [{ hosts: ['api.test', 'files.test'] }] },
    ])
  })

  test('reads standard input where no file is named', () => {
    const { status, stdout, stderr } = typed(['suggest'], recordOf({}))
    assert.deepEqual([status, stderr], [0, ''])
    assert.deepEqual(rulesIn(stdout), [{ id: 'new', destinations: [{ hosts: ['api.test'] }] }])
  })

  test('does not take a file of something else for one with nothing to suggest', async () => {
    assert.equal(typed(['suggest'], 'hello\n').status, 1)
    const { status, stderr } = await sallyport(['suggest', 'nowhere.jsonl'])
    assert.deepEqual([status, stderr], [1, 'nowhere.jsonl cannot be read (ENOENT)\n'])
  })

  test('is not understood without its one word', async () => {
    assert.equal((await sallyport([])).status, 2)
    assert.equal((await sallyport(['suggest', '--rul', 'x'])).status, 2)
  })
})
