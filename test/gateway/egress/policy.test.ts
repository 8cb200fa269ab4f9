// What the rules allow the policy may still refuse; over real sockets, by the policy that is shipped.
import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import type { PolicyInput } from '#contract/policy'
import { pass, refuse } from '#contract/problem'
import { runHttp } from '#test/fakes/https-server'
import { certificates, refusalOf, runRig, shop, trustDomain } from './rig.ts'

const certs = certificates()
let visits = 0
const plain = await runHttp((_req, res) => {
  visits += 1
  res.end('fine')
})
after(plain.close)
const opens = ['127.0.0.0/8']
const web = `spiffe://${trustDomain}/ns/shop/sa/web`
const silent = `spiffe://${trustDomain}/ns/shop/sa/silent`
const reporting = `spiffe://${trustDomain}/ns/shop/sa/reporting`
const destinations = [
  { hosts: ['api.lan'], protocol: 'http' as const, ports: [plain.port], opens },
  { hosts: ['api.lan'], protocol: 'tcp' as const, ports: [plain.port], opens },
]
const options = {
  rules: [
    { id: 'shop', destinations, policy: { requires: { kinds: ['mesh'] } } },
    { id: 'web', workloads: [web], destinations, policy: { requires: { protocols: ['http'] } } },
    { id: 'silent', workloads: [silent], destinations },
    {
      id: 'reporting',
      workloads: [reporting],
      mode: 'report' as const,
      destinations,
      policy: { requires: { methods: ['HEAD'] } },
    },
  ],
  more: { policy: { entrypoint: 'sallyport/egress' } },
}
const rig = await runRig(certs, options)

const ask = async (at: typeof rig, as: string, line: 'GET' | 'CONNECT' = 'GET') => {
  at.records.length = 0
  visits = 0
  const place = `api.lan:${plain.port}`
  const wire = await at.dialProxy(as)
  const target = line === 'CONNECT' ? place : `http://${place}/orders/7?secret=1`
  wire.write(`${line} ${target} HTTP/1.1\r\nHost: ${place}\r\n\r\n`)
  const answer = await wire.answer()
  wire.destroy()
  return refusalOf(answer)
}

suite('the policy', () => {
  rig.dns.set('api.lan', [{ type: 'A', address: '127.0.0.1' }])
  test('allows, and the record says why and by which revision', async () => {
    assert.equal(await ask(rig, shop), '200 none')
    const { policy, decisionId } = await rig.recordOf(({ kind }) => kind === 'egress')
    assert.equal(policy?.allow, true)
    assert.ok(policy.reasons.length > 0 && policy.revision.length > 0 && decisionId.length === 32)
    assert.equal(await ask(rig, shop, 'CONNECT'), '200 none')
  })
  test('refuses what the rules allow, and nothing is dialled', async () => {
    assert.equal(await ask(rig, web), '200 none')
    assert.equal(await ask(rig, web, 'CONNECT'), '403 policy-denied')
    const record = await rig.recordOf(({ problem }) => problem === 'policy-denied')
    assert.deepEqual(
      record.policy?.reasons.map(({ code }) => code),
      ['protocol-not-admitted'],
    )
    assert.deepEqual(
      [record.step, record.outcome, record.egress?.dialled],
      ['policy', 'refused', undefined],
    )
    assert.equal(visits, 0)
  })
  test('refuses by default: a rule that requires nothing', async () => {
    assert.equal(await ask(rig, silent), '403 policy-denied')
  })
  test('is no less strict where a rule only reports', async () => {
    assert.equal(await ask(rig, reporting), '403 policy-denied')
  })
})

suite('a policy that gives no decision', () => {
  for (const [what, decided, refusal] of [
    ['breaks', () => refuse('policy-failed', { cause: 'it broke' }), '500 policy-failed'],
    [
      'throws',
      () => {
        throw new Error('a bug')
      },
      '500 internal',
    ],
  ] as const)
    test(`${what}: nobody goes out`, async () => {
      const broken = await runRig(certs, {
        ...options,
        ports: { openPolicy: () => ({ revision: 'r', decide: decided, stands: () => {} }) },
      })
      broken.dns.set('api.lan', [{ type: 'A', address: '127.0.0.1' }])
      assert.equal(await ask(broken, shop), refusal)
      assert.equal(visits, 0)
    })
})

test('it is told where, who and by which rule, and no header', async () => {
  const inputs: PolicyInput[] = []
  const told = await runRig(certs, {
    ...options,
    ports: {
      openPolicy: () => ({
        revision: 'r',
        stands: () => {},
        decide: (input) => {
          inputs.push(input)
          return pass({ allow: true, reasons: [], revision: 'r' })
        },
      }),
    },
  })
  told.dns.set('api.lan', [{ type: 'A', address: '127.0.0.1' }])
  assert.equal(await ask(told, shop), '200 none')
  const [first] = inputs
  assert.ok(first)
  const { nowMs, tls, ...input } = first
  assert.equal(nowMs % 1000, 0)
  assert.deepEqual(tls, { version: 'TLSv1.3', clientSpiffeId: shop })
  assert.deepEqual(input, {
    version: 1,
    direction: 'egress',
    trustDomain,
    request: {
      method: 'GET',
      host: 'api.lan',
      path: '/orders/7',
      segments: ['orders', '7'],
      query: '?secret=1',
      headers: {},
    },
    route: { id: 'shop', team: 'shop', requires: { kinds: ['mesh'] } },
    subject: { spiffeId: shop, issuer: null, kind: 'mesh', claims: {} },
    egress: {
      port: plain.port,
      protocol: 'http',
      reason: 'listed',
      asks: 'request',
      credential: null,
    },
    net: { address: '127.0.0.1' },
  })
})
