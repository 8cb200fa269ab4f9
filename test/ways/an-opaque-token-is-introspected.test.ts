import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, test } from 'node:test'
import { opaqueClients, runOpaqueIssuer } from '#test/fakes/opaque-issuer'
import { newSigningKey, signRaw, type SigningKey } from '#test/fakes/token-maker'
import { eventually, meshRig, tokenRoute } from './rig.ts'

const audience = 'https://api.test'
const rig = await meshRig()
const provider = await runOpaqueIssuer(audience)
const other = await runOpaqueIssuer(audience)
after(async () => {
  await rig.close()
  await provider.close()
  await other.close()
})

const { secret, assertion, certificate } = opaqueClients
const authentications = {
  secret: {
    method: 'client_secret_basic',
    clientId: secret.clientId,
    secret: { file: rig.save('introspection.secret', `${secret.secret}\n`) },
  },
  assertion: {
    method: 'private_key_jwt',
    clientId: assertion.clientId,
    keyId: assertion.key.kid,
    keyFile: rig.save(
      'introspection.key',
      assertion.key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    ),
  },
  certificate: {
    method: 'tls_client_auth',
    clientId: certificate.clientId,
    certificateFile: rig.save('introspection.pem', certificate.made.pem),
    keyFile: rig.save('introspection.pem.key', certificate.made.keyPem),
  },
}

const introspecting = (
  { issuer, endpoint, ca }: typeof provider,
  authentication: object,
  more: object = {},
) => ({
  issuer,
  audiences: [audience],
  caFile: rig.save(`${new URL(issuer).port}.ca.pem`, ca),
  kind: 'serverless',
  introspection: {
    endpoint,
    authentication,
    subject: 'client_id',
    maxCacheSeconds: 600,
    timeoutMs: 10_000,
    ...more,
  },
})
const issuers = {
  outside: rig.issuer,
  opaque: introspecting(provider, authentications.secret),
  // Nothing of this one is remembered.
  forgetful: introspecting(other, authentications.assertion, {
    maxCacheSeconds: 0,
    negativeCacheSeconds: 0,
  }),
}
const identities = [
  { name: 'people', issuer: 'outside', spiffeId: 'spiffe://mesh.test/people/{sub}' },
  { name: 'apps', issuer: 'opaque', spiffeId: 'spiffe://mesh.test/apps/{sub}' },
  { name: 'others', issuer: 'forgetful', spiffeId: 'spiffe://mesh.test/others/{client_id}' },
]
const exchange = await rig.exchange(0, { issuers, identities })
const seen: string[] = []
const service = await rig.service((req, res) => {
  const [, payload = ''] = (req.headers.authorization ?? '').split('.')
  seen.push(String(req.headers.authorization))
  res.end(String(JSON.parse(Buffer.from(payload, 'base64url').toString()).sub))
})
const route = (id: string, issuer: readonly string[], more: object = {}) =>
  tokenRoute(id, `/${id}`, {
    authenticate: { issuers: issuer },
    policy: { requires: { kinds: ['serverless', 'external'] } },
    ...more,
  })
const configuration = (authentication: object = authentications.secret) => ({
  exchange: {
    url: `https://localhost:${exchange.exchange.port}`,
    spiffeId: 'spiffe://mesh.test/exchange',
    caFile: rig.at('roots.pem'),
    timeoutMs: 20_000,
  },
  issuers: { ...issuers, opaque: introspecting(provider, authentication) },
  identities,
  upstreams: { service: { endpoints: [service.url], spiffeId: 'spiffe://mesh.test/service' } },
  routes: [
    route('apps', ['opaque', 'outside']),
    route('others', ['forgetful']),
    route('people', ['outside']),
  ],
  listeners: {
    ingress: { tls: { certificates: [rig.ingressFiles], clientCertificates: {} } },
  },
})
const gateway = await rig.gateway('gateway', configuration())

const ask = async (token: string, path = '/apps/x', options: { dpop?: string } & object = {}) => {
  const { dpop, ...rest } = options
  const { status, headers, text } = await gateway.ask(path, {
    ...rest,
    headers: {
      authorization: `${dpop === undefined ? 'Bearer' : 'DPoP'} ${token}`,
      ...(dpop === undefined ? {} : { dpop }),
    },
  })
  return {
    outcome: headers['x-sallyport-problem'] ?? status,
    status,
    text,
    headers,
  }
}

test('an opaque token becomes an identity, and the service sees that and not the token', async () => {
  const token = await provider.token()
  assert.doesNotMatch(token, /\./)
  const { outcome, text } = await ask(token)
  assert.deepEqual([outcome, text], [200, 'spiffe://mesh.test/apps/app'])
  assert.ok(seen.length > 0 && seen.every((authorization) => !authorization.includes(token)))
  const record = await gateway.record(({ spiffeId }) => spiffeId === 'spiffe://mesh.test/apps/app')
  assert.equal(record.caller?.issuer, 'opaque')
  assert.equal(record.caller?.subject, 'app')
  assert.ok(record.caller?.jti)
})

test('its issuer is asked once by the gateway and once by the exchange, however many requests there are', async () => {
  const token = await provider.token()
  const before = provider.introspections()
  const together = await Promise.all(Array.from({ length: 10 }, () => ask(token)))
  assert.deepEqual(new Set(together.map(({ outcome }) => outcome)), new Set([200]))
  assert.equal((await ask(token)).outcome, 200)
  assert.equal(provider.introspections() - before, 2)
})

test('a revoked token is refused once its issuer is asked again', async () => {
  const token = await other.token()
  assert.equal((await ask(token, '/others/x')).outcome, 200)
  await other.revoke(token)
  const { outcome, headers } = await ask(token, '/others/x')
  assert.equal(outcome, 'token-inactive')
  assert.match(String(headers['www-authenticate']), /error="invalid_token"/)
})

test('a token that nobody issued is refused, and its refusal is remembered', async () => {
  const before = provider.introspections()
  assert.equal((await ask('nobody-issued-this')).outcome, 'token-inactive')
  assert.equal((await ask('nobody-issued-this')).outcome, 'token-inactive')
  assert.equal(provider.introspections() - before, 1)
})

test('a token is shown to its own issuer alone', async () => {
  const [mine, others] = [provider.introspections(), other.introspections()]
  const token = await other.token()
  assert.equal((await ask(token, '/apps/x')).outcome, 'token-inactive')
  assert.equal(other.introspections(), others)
  assert.equal((await ask(token, '/people/x')).outcome, 'token-malformed')
  assert.equal(provider.introspections() - mine, 1)
  // A JWT says whose it is: no issuer is asked about one of another.
  assert.equal((await ask(rig.token(), '/apps/x')).text, 'spiffe://mesh.test/people/alice')
  assert.equal(provider.introspections() - mine, 1)
})

test('while an issuer cannot be asked its tokens get 503, and those that are remembered and all others are let in', async () => {
  const known = await provider.token()
  assert.equal((await ask(known)).outcome, 200)
  const unknown = await provider.token()
  for (const status of [500, 401, 302]) {
    provider.breakWith(status)
    const { outcome, status: answered, headers } = await ask(unknown)
    assert.deepEqual([outcome, answered], ['introspection-unavailable', 503])
    assert.ok(headers['retry-after'])
    assert.equal(headers['www-authenticate'], undefined)
  }
  assert.equal((await ask(known)).outcome, 200)
  assert.equal((await ask(rig.token())).outcome, 200)
  assert.equal((await ask(await other.token(), '/others/x')).outcome, 200)
  provider.breakWith(undefined)
  assert.equal((await ask(unknown)).outcome, 200)
})

for (const [what, authentication] of Object.entries(authentications))
  test(`the gateway proves who it is by ${what}`, async () => {
    await gateway.change(configuration(authentication))
    assert.equal((await ask(await provider.token())).outcome, 200)
  })

const sha256 = (text: string) => createHash('sha256').update(text).digest('base64url')
let made = 0
const proofOf = (key: SigningKey, htm: string, htu: string, more: object = {}) => {
  const { kty, crv, x, y } = key.jwk
  const claims = { jti: `${(made += 1)}`, htm, htu, iat: Math.floor(Date.now() / 1000), ...more }
  return signRaw(key, { typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } }, claims)
}

test('a token bound to a key is taken with a proof of it alone (RFC 9449)', async () => {
  const [holder, thief] = [newSigningKey('holder'), newSigningKey('thief')]
  const token = await provider.token({ dpop: proofOf(holder, 'POST', `${provider.issuer}/token`) })
  const by = (key: SigningKey) => ({
    dpop: proofOf(key, 'GET', 'https://localhost/apps/x', { ath: sha256(token) }),
  })
  assert.equal((await ask(token)).outcome, 'token-holder-unproven')
  assert.equal((await ask(token, '/apps/x', by(thief))).outcome, 'token-holder-unproven')
  assert.equal((await ask(token, '/apps/x', by(holder))).outcome, 200)
})

test('a token bound to a certificate is taken over a connection with it alone (RFC 8705)', async () => {
  const { made } = certificate
  const client = { cert: made.pem, key: made.keyPem }
  const token = await provider.token({ client })
  assert.equal((await ask(token)).outcome, 'token-holder-unproven')
  assert.equal((await ask(token, '/apps/x', client)).outcome, 200)
})

for (const [what, by] of [
  ['subject', () => ({ kind: 'subject', issuer: 'forgetful', subject: 'app' })],
  ['issuer', () => ({ kind: 'issuer', issuer: 'forgetful' })],
  ['jti', (jti: string) => ({ kind: 'jti', jti, issuer: 'forgetful' })],
] as const)
  test(`a quarantine by ${what} cuts an opaque token off, remembered or not`, async () => {
    const token = await other.token()
    assert.equal((await ask(token, '/others/x')).outcome, 200)
    const answer = await fetch(`http://127.0.0.1:${gateway.admin.port}/quarantine`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ by: by(sha256(token)), reason: 'stolen', actor: 'tester' }),
    })
    assert.equal(answer.status, 201)
    const { entry } = (await answer.json()) as { entry: { id: string } }
    assert.equal((await ask(token, '/others/x')).outcome, 'quarantined')
    await fetch(`http://127.0.0.1:${gateway.admin.port}/quarantine/${entry.id}`, {
      method: 'DELETE',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ reason: 'found', actor: 'tester' }),
    })
    await eventually(async () => (await ask(token, '/others/x')).outcome === 200 || undefined)
  })

test('what was asked is counted by issuer', async () => {
  const text = await gateway.metrics()
  for (const result of ['active', 'refused', 'cached', 'failed'])
    assert.match(
      text,
      new RegExp(`sallyport_introspections_total\\{issuer="opaque",result="${result}"\\} [1-9]`),
    )
})
