// Tokens that are fetched for a request on its way out: of a real OpenID provider, of the real exchange, and of one that fails.
import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { after, suite, test } from 'node:test'
import { decodeJwt } from 'jose'
import { secret } from '#contract/secret'
import type { SpiffeId } from '#contract/spiffe-id'
import { tokenTypes } from '#contract/token-exchange'
import { exchangeClient } from '#gateway/exchange-client'
import { undiciClient } from '#gateway/upstream/undici-client'
import { startTestExchange } from '#test/exchange/running-exchange'
import { runHttps } from '#test/fakes/https-server'
import { runOidcIssuer } from '#test/fakes/oidc-issuer'
import { certificates, exchangeId, gatewayId, refusalOf, runRig } from '../rig.ts'
import { aPathForEach } from './a-path-for-each.ts'

const certs = certificates()
const audience = 'https://orders.example.com'
const provider = await runOidcIssuer(audience)
const exchange = await startTestExchange()
const own = await exchange.join()
const bundle = (await exchange.ask({ path: '/bundle.pem' })).body.toString()

/** What the destination got, by path. */
const seen: string[] = []
const api = await runHttps(certs.outside('DNS:api.lan'), (req, res) => {
  seen.push(String(req.headers.authorization))
  res.end('fine')
})
/** A token endpoint that does as it is told. */
type Said = (req: IncomingMessage, res: ServerResponse, form: URLSearchParams) => void
const asked: URLSearchParams[] = []
let tokens = 0
const give: Said = (_req, res) =>
  res.end(
    JSON.stringify({
      access_token: `sts-token-${(tokens += 1)}`,
      token_type: 'Bearer',
      expires_in: 600,
    }),
  )
let say = give
const sts = await runHttps(certs.outside('DNS:sts.lan'), (req, res) => {
  let text = ''
  req.on('data', (chunk: Buffer) => (text += chunk.toString()))
  req.on('end', () => {
    const form = new URLSearchParams(text)
    asked.push(form)
    say(req, res, form)
  })
})

const svid = {
  spiffeId: gatewayId as SpiffeId,
  certificateChain: own.cert,
  privateKey: secret(own.key),
  bundle,
  notBeforeMs: 0,
  notAfterMs: Number.POSITIVE_INFINITY,
}
const client = undiciClient({
  endpoint: exchange.urls.exchange,
  expected: exchangeId as SpiffeId,
  svid,
  maxConnections: 2,
  connectTimeoutMs: 2000,
})
after(async () => {
  await client.close() // the exchange waits for its connections
  await Promise.all([provider.close(), exchange.stop(), api.close(), sts.close()])
})
let mints = 0
const mint = exchangeClient({ client: () => client, authority: 'exchange', timeoutMs: 5000 })

const opens = ['127.0.0.0/8']
const common = { scopes: [], clientAuthentication: 'basic' as const, opens, scanBytes: 65_536 }
const atSts = (path: string) => `https://sts.lan:${sts.port}${path}`
const credentials = {
  provider: {
    kind: 'client-credentials' as const,
    ...common,
    tokenUrl: `${provider.issuer}/token`,
    clientId: provider.client.id,
    clientSecret: secret(provider.client.secret),
    resource: audience,
  },
  exchanged: {
    kind: 'token-exchange' as const,
    audience,
    tokenType: 'access-token' as const,
    scanBytes: 0,
  },
  'at-sts': {
    kind: 'token-exchange' as const,
    audience,
    tokenType: 'jwt-svid' as const,
    at: { ...common, tokenUrl: atSts('/exchange'), audience: '//sts/pool', scopes: ['a', 'b'] },
    scanBytes: 0,
  },
  failing: {
    kind: 'client-credentials' as const,
    ...common,
    clientAuthentication: 'post' as const,
    tokenUrl: atSts('/token'),
    clientId: 'me',
    clientSecret: secret('a good secret'),
  },
  closed: {
    kind: 'client-credentials' as const,
    ...common,
    opens: [],
    tokenUrl: atSts('/token'),
    clientId: 'me',
    clientSecret: secret('a good secret'),
  },
}
const rules = {
  rules: [aPathForEach(credentials, api.port, opens)],
  dns: { hosts: { 'api.lan': ['127.0.0.1'], 'sts.lan': ['127.0.0.1'], localhost: ['127.0.0.1'] } },
}
const rig = await runRig(certs, {
  ...rules,
  more: { credentials },
  exchangeUrl: exchange.urls.exchange,
  ports: {
    ownSvid: { current: () => svid, onChange: () => () => {}, close: () => {} },
    mint: (request) => {
      mints += 1
      return mint(request)
    },
  },
})
const roots = {
  files: [rig.files.outsideRoot, rig.file('provider.pem', provider.ca)],
  publicRoots: false,
}
/** A new set of them forgets what was fetched. */
const afresh = (changed: object = {}) =>
  rig.reload({
    ...rules,
    more: { credentials: { ...credentials, ...changed }, destinationRoots: roots },
  })

const svidOf = async (sub: string): Promise<string> => {
  const answer = await exchange.exchangeToken(
    { subject_token: await exchange.subjectToken({ sub }), audience: gatewayId },
    own,
  )
  return String(answer.json()['access_token'])
}
const users = { alice: await svidOf('alice'), bob: await svidOf('bob') }
const ask = async (path: keyof typeof credentials, user: keyof typeof users = 'alice') => {
  const wire = await rig.dialProxy()
  wire.write(
    [
      `GET http://api.lan:${api.port}/${path} HTTP/1.1`,
      `Host: api.lan:${api.port}`,
      `Proxy-Authorization: Bearer ${users[user]}`,
      'Authorization: mine',
      '',
      '',
    ].join('\r\n'),
  )
  const answer = await wire.answer()
  wire.destroy()
  return refusalOf(answer)
}
const sent = (i: number) => (seen[i] ?? '').replace(/^Bearer /, '')
const reset = async () => {
  for (const list of [seen, asked, rig.records]) list.length = 0
  mints = 0
  say = give
  await afresh({ failing: { ...credentials.failing, clientId: `me-${Math.random()}` } })
}
await afresh()
// The keys of JWT-SVIDs are fetched in the background.
while ((await ask('provider')) === '503 issuer-unavailable') await new Promise(setImmediate)

suite('a token for a client', () => {
  test('comes from a real provider, once for all workloads', async () => {
    await reset()
    assert.equal(await ask('provider'), '200 none')
    assert.equal(await ask('provider', 'bob'), '200 none')
    assert.equal(decodeJwt(sent(0)).aud, audience)
    assert.equal(sent(1), sent(0))
    const kept = rig.records.map(({ egress }) => egress?.credential?.fromCache)
    assert.equal(kept.at(-1), true)
  })
  test('is asked for once by many at once', async () => {
    await reset()
    const many = await Promise.all(Array.from({ length: 8 }, () => ask('failing')))
    assert.deepEqual(new Set(many), new Set(['200 none']))
    assert.equal(asked.length, 1)
    assert.equal(asked[0]?.get('client_secret'), 'a good secret')
  })
})

suite('a token for the workload', () => {
  test('comes from our exchange for its JWT-SVID, and to nobody else', async () => {
    await reset()
    for (const user of ['alice', 'bob', 'alice'] as const)
      assert.equal(await ask('exchanged', user), '200 none')
    const [alice, bob] = [decodeJwt(sent(0)), decodeJwt(sent(1))]
    assert.deepEqual([alice.sub, alice.aud], ['spiffe://mesh.example/user/alice', audience])
    assert.equal(bob.sub, 'spiffe://mesh.example/user/bob')
    assert.equal(sent(2), sent(0))
    assert.equal(mints, 2)
  })
  test("comes from the destination's own, which is shown what our exchange minted", async () => {
    await reset()
    assert.equal(await ask('at-sts'), '200 none')
    assert.match(sent(0), /^sts-token-/)
    const form = Object.fromEntries(asked[0] ?? [])
    const { subject_token: shown = '', ...rest } = form
    assert.deepEqual(rest, {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token_type: tokenTypes.jwt,
      requested_token_type: tokenTypes.accessToken,
      scope: 'a b',
      audience: '//sts/pool',
    })
    assert.equal(decodeJwt(shown).aud, audience)
    assert.notEqual(shown, users.alice)
  })
})

suite('without the token the request does not go', () => {
  const withBody =
    (status: number, body: unknown): Said =>
    (_req, res) =>
      void res.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body))
  const token = { access_token: 'a-good-token', token_type: 'Bearer', expires_in: 600 }
  for (const [what, said, refusal] of [
    ['500', withBody(500, ''), '503 credential-unavailable'],
    ['429', withBody(429, ''), '503 credential-unavailable'],
    ['invalid_client', withBody(401, { error: 'invalid_client' }), '502 credential-withheld'],
    ['invalid_scope', withBody(400, { error: 'invalid_scope' }), '502 credential-withheld'],
    [
      'a redirect',
      (_req, res) => void res.writeHead(302, { location: '/x' }).end(),
      '502 credential-withheld',
    ],
    ['no JSON', withBody(200, '<html>'), '503 credential-unavailable'],
    [
      'no token',
      withBody(200, { ...token, access_token: undefined }),
      '503 credential-unavailable',
    ],
    [
      'a token with a line break',
      withBody(200, { ...token, access_token: 'aaaaaaaa\r\nx: y' }),
      '503 credential-unavailable',
    ],
    [
      'a token of another type',
      withBody(200, { ...token, token_type: 'DPoP' }),
      '503 credential-unavailable',
    ],
    [
      'a token that is over',
      withBody(200, { ...token, expires_in: 0 }),
      '503 credential-unavailable',
    ],
    [
      'an answer without end',
      (_req, res) => void res.end('x'.repeat(70_000)),
      '503 credential-unavailable',
    ],
    ['a broken answer', (req) => void req.socket.destroy(), '503 credential-unavailable'],
  ] as readonly (readonly [string, Said, string])[])
    test(`${what}: ${refusal}`, async () => {
      await reset()
      say = said
      assert.equal(await ask('failing'), refusal)
      assert.deepEqual(seen, [])
      const record = await rig.recordOf(({ step }) => step === 'credential')
      assert.equal(`${record.status} ${record.problem}`, refusal)
    })
  test('its endpoint is at a closed address', async () => {
    await reset()
    assert.equal(await ask('closed'), '503 credential-unavailable')
    const { cause } = await rig.recordOf(({ step }) => step === 'credential')
    assert.match(cause ?? '', /leads to 127\.0\.0\.1, which is closed \(loopback\)/)
    assert.deepEqual([seen.length, asked.length], [0, 0])
  })
  test('its endpoint could not prove who it is', async () => {
    await reset()
    const { tokenUrl } = credentials.failing
    await afresh({
      failing: { ...credentials.failing, tokenUrl: tokenUrl.replace('sts.lan', 'api.lan') },
    })
    assert.equal(await ask('failing'), '503 credential-unavailable')
    assert.deepEqual([seen.length, asked.length], [0, 0])
  })
})
