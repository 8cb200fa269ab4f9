// Workloads without a certificate bring a JWT-SVID in Proxy-Authorization.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { runHttps } from '#test/fakes/https-server'
import { makeSvid } from '#test/fakes/openssl'
import { newSigningKey, signToken } from '#test/fakes/token-maker'
import { findTool, without } from '#test/tools'
import { certificates, exchangeId, gatewayId, refusalOf, runRig, shop } from './rig.ts'

const certs = certificates()
const key = newSigningKey('k1')
const stranger = newSigningKey('k1')
const exchange = await runHttps(makeSvid(certs.meshRoot, exchangeId), (_req, res) =>
  res.end(JSON.stringify({ keys: [{ ...key.jwk, use: 'jwt-svid' }], spiffe_sequence: 1 })),
)
const api = await runHttps(certs.outside('DNS:api.test'), (_req, res) => res.end('hello'))
after(api.close)
const rig = await runRig(certs, {
  exchangeUrl: exchange.url.replace('localhost', '127.0.0.1'),
  rules: [
    {
      id: 'shop',
      destinations: [{ hosts: ['api.test'], ports: [api.port], opens: ['127.0.0.0/8'] }],
    },
  ],
})
rig.dns.set('api.test', [{ type: 'A', address: '127.0.0.1' }])
const place = `api.test:${api.port}`

const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds
const claims = () => ({ sub: shop, aud: gatewayId, iat: inSeconds(-1), exp: inSeconds(300) })
const good = () => signToken(key, claims())
const basic = (token: string) => `Basic ${Buffer.from(`jwt-svid:${token}`).toString('base64')}`

/** @param as The workload of a client certificate, if it shows one too. */
const ask = async (credentials: readonly string[], as?: string) => {
  const { wire, answer } = await open(credentials, as)
  wire.destroy()
  return refusalOf(answer)
}
const open = async (credentials: readonly string[], as?: string) => {
  const wire = await rig.dialProxy(as)
  const headers = credentials.map((value) => `Proxy-Authorization: ${value}`)
  wire.write([`CONNECT ${place} HTTP/1.1`, `Host: ${place}`, ...headers, '', ''].join('\r\n'))
  return { wire, answer: await wire.answer() }
}
const nobody = '407 workload-unidentified'
// The keys are fetched in the background.
for (let i = 0; i < 3000 && (await ask([`Bearer ${good()}`])) !== '200 none'; i += 1)
  await sleep(20)

suite('a JWT-SVID', () => {
  for (const [what, credentials] of [
    ['as Bearer', (token: string) => `Bearer ${token}`],
    ['as the password of Basic', basic],
    ['by a scheme in capitals', (token: string) => `BEARER ${token}`],
  ] as const)
    test(`${what} lets its workload through, and the record says how it was proved`, async () => {
      rig.records.length = 0
      assert.equal(await ask([credentials(good())]), '200 none')
      const { spiffeId, egress } = await rig.recordOf(({ kind }) => kind === 'egress')
      assert.deepEqual([spiffeId, egress?.proof], [shop, 'jwt-svid'])
    })

  const other = 'spiffe://mesh.example/ns/other/sa/other'
  for (const [what, token] of [
    [
      'that has expired',
      () => signToken(key, { ...claims(), iat: inSeconds(-600), exp: inSeconds(-60) }),
    ],
    [
      'that lives for longer than a day',
      () => signToken(key, { ...claims(), exp: inSeconds(90_000) }),
    ],
    ['without an end', () => signToken(key, { ...claims(), exp: undefined })],
    [
      'for another audience',
      () => signToken(key, { ...claims(), aud: 'spiffe://mesh.example/orders' }),
    ],
    ['for no audience', () => signToken(key, { ...claims(), aud: undefined })],
    [
      'of another trust domain',
      () => signToken(key, { ...claims(), sub: 'spiffe://other.example/a' }),
    ],
    ['of no SPIFFE ID', () => signToken(key, { ...claims(), sub: 'shop' })],
    ['signed by a stranger of the same kid', () => signToken(stranger, claims())],
    ['by an unknown key', () => signToken(newSigningKey('k2'), claims())],
    ['without a signature', () => `${signToken(key, claims()).split('.').slice(0, 2).join('.')}.`],
    ['of another type', () => signToken(key, claims(), { typ: 'at+jwt' })],
    ['with a critical header', () => signToken(key, claims(), { crit: ['exp'] })],
    ['by no algorithm', () => signToken(key, claims(), { alg: 'none' })],
  ] as const)
    test(`${what} is refused, and its text is nowhere`, async () => {
      rig.records.length = 0
      const text = token()
      assert.equal(await ask([`Bearer ${text}`]), nobody)
      const record = JSON.stringify(await rig.recordOf(({ kind }) => kind === 'egress'))
      assert.ok(!record.includes(text.split('.')[1] ?? text), record)
    })

  test('of which there are two is refused', async () => {
    assert.equal(await ask([`Bearer ${good()}`, `Bearer ${good()}`]), nobody)
  })
  test('beside a certificate must be of the same workload', async () => {
    assert.equal(await ask([`Bearer ${good()}`], shop), '200 none')
    assert.equal(await ask([`Bearer ${good()}`], other), nobody)
    assert.equal(await ask([`Bearer ${signToken(key, { ...claims(), sub: other })}`], shop), nobody)
  })
  test('may not go where no rule of its workload leads', async () => {
    assert.equal(
      await ask([`Bearer ${signToken(key, { ...claims(), sub: other })}`]),
      '403 destination-denied',
    )
  })
  test('whose workload is cut off loses its tunnel', async () => {
    const token = signToken(key, claims())
    const { wire, answer } = await open([`Bearer ${token}`])
    assert.equal(answer.status, 200)
    const closed = once(wire.socket, 'close')
    const added = await rig.quarantine.add({
      by: { kind: 'spiffe-id', spiffeId: shop },
      reason: 'test',
      actor: 'tester',
    })
    assert.ok(added.ok)
    await closed
    assert.equal(await ask([`Bearer ${token}`]), '403 quarantined')
    await rig.quarantine.lift(added.value.entry.id)
  })
})

suite('curl with a token in its proxy URL', without({ curl: findTool('curl') }), () => {
  test('gets through', async () => {
    const file = rig.files.outsideRoot
    const out = await new Promise<string>((resolve) => {
      execFile(
        'curl',
        ['-sS', '--max-time', '60', '--cacert', file, '--proxy-cacert', file, `https://${place}/`],
        {
          env: { ...process.env, HTTPS_PROXY: `https://jwt-svid:${good()}@127.0.0.1:${rig.port}` },
          timeout: 120_000,
        },
        (_error, stdout, stderr) => resolve(stdout + stderr),
      )
    })
    assert.equal(out, 'hello')
  })
})

test('while the exchange is gone, what was good stays so, and nothing else becomes so', async () => {
  await exchange.close()
  assert.equal(await ask([`Bearer ${good()}`]), '200 none')
  assert.equal(await ask([], shop), '200 none')
  assert.equal(await ask([`Bearer ${signToken(newSigningKey('k2'), claims())}`]), nobody)
  assert.equal(await ask([]), nobody)
})
