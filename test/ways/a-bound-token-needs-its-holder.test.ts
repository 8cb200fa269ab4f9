import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { after, test } from 'node:test'
import { calculateJwkThumbprint } from 'jose'
import { newSigningKey, signRaw, type SigningKey } from '#test/fakes/token-maker'
import { eventually, ids, meshRig, tokenRoute } from './rig.ts'

const rig = await meshRig()
after(rig.close)
const seen: (string | undefined)[] = []
const service = await rig.service((req, res) => {
  seen.push(req.headers['dpop'] as string | undefined)
  res.end('let in')
})
const exchange = await rig.exchange()
const configuration = (more: object = {}) => ({
  exchangePort: exchange.exchange.port,
  upstreams: { service: { endpoints: [service.url], spiffeId: 'spiffe://mesh.test/service' } },
  routes: [
    tokenRoute('mine', '/mine'),
    tokenRoute('strict', '/strict', {
      authenticate: { issuers: ['outside'], bound: 'required' },
    }),
  ],
  listeners: {
    ingress: { tls: { certificates: [rig.ingressFiles], clientCertificates: {} } },
  },
  ...more,
})
const gateway = await rig.gateway('gateway', configuration())
const withNonces = await rig.gateway('nonces', configuration({ dpop: { nonce: 'required' } }))

const keyOf = async (name: string) => {
  const key = newSigningKey(name)
  const { kty, crv, x, y } = key.jwk
  const jwk = { kty, crv, x, y } as Record<string, string>
  return { key, jwk, jkt: await calculateJwkThumbprint(jwk) }
}
const holder = await keyOf('holder')
const thief = await keyOf('thief')

let made = 0
const sha256 = (text: string) => createHash('sha256').update(text).digest('base64url')
const proofFor = (
  token: string,
  path: string,
  claims: object = {},
  { key, jwk }: { key: SigningKey; jwk: object } = holder,
) =>
  signRaw(
    key,
    { typ: 'dpop+jwt', alg: 'ES256', jwk },
    {
      jti: `proof-${(made += 1)}`,
      htm: 'GET',
      htu: `https://localhost${path}`,
      iat: Math.floor(Date.now() / 1000),
      ath: sha256(token),
      ...claims,
    },
  )

type Sent = { scheme?: string; proof?: string | undefined; path?: string; at?: typeof gateway }
const ask = async (
  token: string,
  { scheme = 'DPoP', proof, path = '/mine/x', at = gateway }: Sent,
  options: object = {},
) => {
  const { status, headers } = await at.ask(path, {
    ...options,
    headers: {
      authorization: `${scheme} ${token}`,
      ...(proof === undefined ? {} : { dpop: proof }),
    },
  })
  return { outcome: headers['x-sallyport-problem'] ?? status, headers }
}
const bound = () => rig.token({ cnf: { jkt: holder.jkt } })

test('who proves to hold the key of a bound token is let in, and the service does not see the proof', async () => {
  const token = bound()
  const { outcome } = await ask(token, { proof: proofFor(token, '/mine/x'), path: '/mine/x?q=1' })
  assert.equal(outcome, 200)
  assert.deepEqual(seen, [undefined])
})

test('a proof is good once, on this gateway for this place', async () => {
  const token = bound()
  const proof = proofFor(token, '/mine/x')
  assert.equal((await ask(token, { proof })).outcome, 200)
  assert.equal((await ask(token, { proof })).outcome, 'token-replayed')
})

for (const [what, sent, tag] of [
  ['as a bearer token', { scheme: 'Bearer' }, 'token-holder-unproven'],
  ['without a proof', {}, 'token-holder-unproven'],
  ['with a proof of another key', { by: thief }, 'token-holder-unproven'],
  ['with a proof for another method', { claims: { htm: 'POST' } }, 'dpop-proof-invalid'],
  [
    'with a proof for another path',
    { claims: { htu: 'https://localhost/mine/y' } },
    'dpop-proof-invalid',
  ],
  [
    'with a proof for another host',
    { claims: { htu: 'https://evil.test/mine/x' } },
    'dpop-proof-invalid',
  ],
  [
    'with a proof for plain HTTP',
    { claims: { htu: 'http://localhost/mine/x' } },
    'dpop-proof-invalid',
  ],
  ['with a proof for another token', { claims: { ath: sha256('other') } }, 'dpop-proof-invalid'],
  ['with a proof without ath', { claims: { ath: undefined } }, 'dpop-proof-invalid'],
  [
    'with a proof of long ago',
    { claims: { iat: Math.floor(Date.now() / 1000) - 300 } },
    'dpop-proof-invalid',
  ],
  [
    'with a proof of the future',
    { claims: { iat: Math.floor(Date.now() / 1000) + 300 } },
    'dpop-proof-invalid',
  ],
  ['with a proof that is none', { raw: 'x.y.z' }, 'dpop-proof-invalid'],
] as const)
  test(`a token bound to a key is not taken ${what}`, async () => {
    const token = bound()
    const given = sent as {
      scheme?: string
      by?: typeof thief
      claims?: object
      raw?: string
    }
    const proof =
      given.raw ??
      (given.by || given.claims ? proofFor(token, '/mine/x', given.claims, given.by) : undefined)
    const { outcome, headers } = await ask(token, { scheme: given.scheme ?? 'DPoP', proof })
    assert.equal(outcome, tag)
    assert.match(String(headers['www-authenticate']), /^DPoP error="invalid_/)
  })

test('two proofs are refused before anybody looks at them', async () => {
  const token = bound()
  const { status, headers } = await gateway.ask('/mine/x', {
    headers: {
      authorization: `DPoP ${token}`,
      dpop: [proofFor(token, '/mine/x'), proofFor(token, '/mine/x')] as unknown as string,
    },
  })
  assert.deepEqual([status, headers['x-sallyport-problem']], [400, 'header-repeated'])
})

test('a token that is bound to nothing is no DPoP token, and not enough where one is needed', async () => {
  const token = rig.token()
  assert.equal((await ask(token, { scheme: 'Bearer' })).outcome, 200)
  const proof = proofFor(token, '/mine/x')
  assert.equal((await ask(token, { proof })).outcome, 'token-not-bound')
  assert.equal(
    (await ask(token, { scheme: 'Bearer', path: '/strict/x' })).outcome,
    'token-not-bound',
  )
  const good = bound()
  const strict = { proof: proofFor(good, '/strict/x'), path: '/strict/x' }
  assert.equal((await ask(good, strict)).outcome, 200)
})

test('where nonces are required the first answer gives one, and a proof with it is taken', async () => {
  const token = bound()
  const first = await ask(token, { proof: proofFor(token, '/mine/x'), at: withNonces })
  assert.equal(first.outcome, 'dpop-nonce-needed')
  assert.equal(first.headers['www-authenticate'], 'DPoP error="use_dpop_nonce"')
  const nonce = String(first.headers['dpop-nonce'])
  const proof = proofFor(token, '/mine/x', { nonce })
  assert.equal((await ask(token, { proof, at: withNonces })).outcome, 200)
  const forged = proofFor(token, '/mine/x', {
    nonce: nonce.replace(/^./, (first) => (first === 'A' ? 'B' : 'A')),
  })
  assert.equal((await ask(token, { proof: forged, at: withNonces })).outcome, 'dpop-nonce-needed')
})

test('a token bound to a certificate is taken over a connection with it alone (RFC 8705)', async () => {
  const own = await rig.svidOf(ids.service)
  const other = await rig.svidOf(ids.impostor)
  const thumbprint = createHash('sha256')
    .update(new X509Certificate(own.cert).raw)
    .digest('base64url')
  const token = rig.token({ cnf: { 'x5t#S256': thumbprint } })
  const send = (options: object) => ask(token, { scheme: 'Bearer' }, options)
  assert.equal((await send(own)).outcome, 200)
  assert.equal((await send(other)).outcome, 'token-holder-unproven')
  assert.equal((await send({})).outcome, 'token-holder-unproven')
  const asDpop = await ask(token, { proof: proofFor(token, '/mine/x') }, own)
  assert.equal(asDpop.outcome, 'token-holder-unproven')
  const record = await gateway.record(({ problem }) => problem === 'token-holder-unproven')
  assert.equal(record.step, 'caller')
})

test('whoever has a certificate that is cut off is refused, and their idle connection ends', async () => {
  const { cert, key } = await rig.svidOf(ids.impostor)
  const sha = new X509Certificate(cert).fingerprint256
  const answer = await fetch(`http://127.0.0.1:${gateway.admin.port}/quarantine`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      by: { kind: 'client-certificate', sha256: sha },
      reason: 'key lost',
      actor: 'tester',
    }),
  })
  assert.equal(answer.status, 201)
  const { outcome } = await ask(rig.token(), { scheme: 'Bearer' }, { cert, key })
  assert.equal(outcome, 'quarantined')
  assert.equal((await ask(rig.token(), { scheme: 'Bearer' })).outcome, 200)
  await eventually(async () => (await gateway.status()).open === 0 || undefined)
})
