import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, test } from 'node:test'
import { systemRandomBytes } from '#contract/clock'
import { secret } from '#contract/secret'
import { noLog, noMeter } from '#contract/telemetry'
import { bearerVerifier } from '#identity/bearer'
import { trustedIssuers } from '#identity/jwt/issuers'
import { tokenVerifier } from '#identity/jwt/verify'
import { makeWebCertificate, runHttps } from '#test/fakes/https-server'
import { audience, issuerConfig, issuerUrl } from '#test/fakes/issuer-config'

const folder = mkdtempSync(join(tmpdir(), 'sallyport-introspection-'))
const { ca, server: certificate } = makeWebCertificate()
const caFile = join(folder, 'ca.pem')
writeFileSync(caFile, ca)

let nowMs = Date.UTC(2030, 0, 1)
const now = () => Math.floor(nowMs / 1000)
/** What a good issuer says of a good token. */
const active = () => ({
  active: true,
  sub: 'alice',
  aud: audience,
  iss: issuerUrl,
  token_type: 'Bearer',
  iat: now(),
  exp: now() + 300,
})

let asked: string[] = []
let answer: (response: ServerResponse) => void
const say =
  (body: unknown, type = 'application/json') =>
  (response: ServerResponse) => {
    response.setHeader('content-type', type)
    response.end(typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body))
  }
const server = await runHttps(certificate, (request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    asked.push(new URLSearchParams(Buffer.concat(chunks).toString()).get('token') ?? '')
    answer(response)
  })
})
const opened: { close: () => void }[] = []
after(async () => {
  for (const one of opened) one.close()
  await server.close()
  rmSync(folder, { recursive: true })
})
afterEach(() => {
  asked = []
  nowMs += 3_600_000 // nothing that was remembered is remembered any more
})

const verifierOf = (more: object = {}, names: readonly string[] = ['idp'], at = server.url) => {
  const issuers = trustedIssuers({
    issuers: Object.fromEntries(
      names.map((name, i) => [
        name,
        issuerConfig({
          issuer: i === 0 ? issuerUrl : `${issuerUrl}/${name}`,
          caFile,
          introspection: {
            endpoint: `${at}/introspect`,
            authentication: { method: 'client_secret_basic', clientId: 'us', secret: secret('pw') },
            subject: 'sub',
            mayOmit: [],
            maxCacheSeconds: 30,
            negativeCacheSeconds: 5,
            maxCached: 100,
            maxInFlight: 4,
            timeoutMs: 1000,
            ...more,
          },
        }),
      ]),
    ),
    clock: () => nowMs,
    randomBytes: systemRandomBytes,
    uptimeMs: () => performance.now(),
    meter: noMeter,
    log: noLog,
  })
  opened.push(issuers)
  const jwt = tokenVerifier({ issuers: issuers.byIss, maxTokens: 100, meter: noMeter })
  const verify = bearerVerifier(issuers, jwt)
  return async (token: string) => {
    const result = await verify(token, new Set(names), nowMs)
    return result.ok ? 'admitted' : result.problem.tag
  }
}
const check = verifierOf()
let tokens = 0
const newToken = () => `opaque-${(tokens += 1)}`

for (const [what, body, tag] of [
  ['what a good issuer says', {}, 'admitted'],
  ['a list of audiences with ours in it', { aud: ['other', audience] }, 'admitted'],
  ['no issuer', { iss: undefined }, 'admitted'],
  ['token_type in another case', { token_type: 'bearer' }, 'admitted'],
  ['scopes', { scope: 'a b' }, 'admitted'],
  ['another issuer', { iss: `${issuerUrl}.evil` }, 'token-issuer-unknown'],
  ['a list of issuers', { iss: [issuerUrl] }, 'token-issuer-unknown'],
  ['another audience', { aud: 'other' }, 'token-audience-wrong'],
  ['no audience', { aud: undefined }, 'token-claim-missing'],
  ['an audience that is a number', { aud: [1] }, 'token-claim-invalid'],
  ['no subject', { sub: undefined }, 'token-claim-missing'],
  ['a subject that is a number', { sub: 7 }, 'token-claim-invalid'],
  ['no end', { exp: undefined }, 'token-claim-missing'],
  ['an end that is text', { exp: '4102444800' }, 'token-claim-invalid'],
  ['an end that is no whole number', { exp: 4102444800.5 }, 'token-claim-invalid'],
  ['an end that is past', { exp: now() - 1, iat: now() - 9 }, 'token-expired'],
  ['a beginning to come', { nbf: now() + 10 ** 8 }, 'token-not-yet-valid'],
  ['a beginning that is text', { nbf: 'now' }, 'token-claim-invalid'],
  ['a life of years', { exp: now() + 10 ** 9 }, 'token-lifetime-too-long'],
  ['no token_type', { token_type: undefined }, 'token-type-refused'],
  ['another token_type', { token_type: 'mac' }, 'token-type-refused'],
  ['a token_type that is no text', { token_type: true }, 'token-type-refused'],
  ['DPoP without a key', { token_type: 'DPoP' }, 'token-type-refused'],
  ['a cnf that is not understood', { cnf: { kid: 'a' } }, 'token-claim-invalid'],
  ['a refresh token of Hydra', { token_use: 'refresh_token' }, 'token-type-refused'],
  ['a refresh token of Keycloak', { typ: 'Refresh' }, 'token-type-refused'],
  ['that it is not active', { active: false }, 'token-inactive'],
  ['active as text', { active: 'true' }, 'introspection-unavailable'],
  ['active as a number', { active: 1 }, 'introspection-unavailable'],
  ['nothing of active', { active: undefined }, 'introspection-unavailable'],
] as const)
  test(`an answer with ${what}: ${tag}`, async () => {
    const { exp, iat, ...rest } = { exp: undefined, iat: undefined, ...body }
    // Times are told as they are when the test runs.
    const times = 'exp' in body ? { exp, ...('iat' in body ? { iat } : {}) } : {}
    answer = say({ ...active(), ...rest, ...shifted(times) })
    assert.equal(await check(newToken()), tag)
  })

const began = nowMs
const shifted = (times: object): object =>
  Object.fromEntries(
    Object.entries(times).map(([name, value]) => [
      name,
      typeof value === 'number' ? value + (nowMs - began) / 1000 : value,
    ]),
  )

const good = () => JSON.stringify(active())
for (const [what, answered] of [
  ['a JWT (RFC 9701)', () => say('eyJ.eyJ.sig', 'application/token-introspection+jwt')],
  ['HTML', () => say(good(), 'text/html')],
  ['no type', () => (response: ServerResponse) => void response.end(good())],
  ['no JSON', () => say('active=true')],
  ['a list', () => say('[]')],
  ['a member twice', () => say(good().replace('{', '{"active":false,'))],
  ['__proto__', () => say(good().replace('{', '{"__proto__":{},'))],
  ['a megabyte', () => say({ ...active(), more: 'x'.repeat(1_000_000) })],
  ['bytes that are no UTF-8', () => say(Buffer.from([0xff, 0xfe]))],
  [
    'a redirect',
    () => (response: ServerResponse) => void response.writeHead(307, { location: '/x' }).end(),
  ],
  [
    'half an answer',
    () => (response: ServerResponse) => {
      response.writeHead(200, { 'content-length': 1000 })
      response.write('{')
      setImmediate(() => response.destroy())
    },
  ],
  ['silence', () => () => {}],
] as const)
  test(`of an issuer that answers with ${what} nothing is known, and its tokens get 503`, async () => {
    answer = answered()
    const ask = verifierOf({ timeoutMs: 300 })
    const token = newToken()
    assert.equal(await ask(token), 'introspection-unavailable')
    assert.deepEqual(asked.slice(0, 1), [token])
  })

test('what an issuer said is remembered for a while, and never beyond the end of the token', async () => {
  answer = say({ ...active(), exp: now() + 20 })
  const token = newToken()
  assert.deepEqual(
    [await check(token), await check(token), asked.length],
    ['admitted', 'admitted', 1],
  )
  nowMs += 16_000
  assert.equal(await check(token), 'token-expires-too-soon') // the issuer is not asked for that
  nowMs += 5000
  answer = say({ active: false })
  assert.deepEqual([await check(token), asked.length], ['token-inactive', 2])

  answer = say(active())
  const longer = newToken()
  assert.deepEqual([await check(longer), asked.length], ['admitted', 3])
  nowMs += 32_000
  assert.deepEqual([await check(longer), asked.length], ['admitted', 4])
})

test('that a token is not good is remembered for shorter', async () => {
  answer = say({ active: false })
  const token = newToken()
  assert.equal(await check(token), 'token-inactive')
  answer = say(active())
  assert.deepEqual([await check(token), asked.length], ['token-inactive', 1])
  nowMs += 7000
  assert.deepEqual([await check(token), asked.length], ['admitted', 2])
})

test('garbage drives no good token out of memory', async () => {
  answer = say(active())
  const token = newToken()
  assert.equal(await check(token), 'admitted')
  answer = say({ active: false })
  for (let i = 0; i < 300; i++) assert.equal(await check(newToken()), 'token-inactive')
  const questions = asked.length
  assert.deepEqual([await check(token), asked.length], ['admitted', questions])
})

test('those who bring one token at once share one question, and others wait for no more than some', async () => {
  const waiting: ServerResponse[] = []
  answer = (response) => void waiting.push(response)
  const shared = newToken()
  const together = Array.from({ length: 20 }, () => check(shared))
  const others = Array.from({ length: 3 }, () => check(newToken()))
  assert.equal(await check(newToken()), 'introspection-unavailable') // four are under way
  while (waiting.length < 4) await new Promise((resolve) => setTimeout(resolve, 5))
  for (const response of waiting) say(active())(response)
  assert.deepEqual(new Set(await Promise.all([...together, ...others])), new Set(['admitted']))
  assert.equal(asked.length, 4)
})

test('an issuer that is not there is not tried for each request', async () => {
  let tries = 0
  const gone = createServer((socket) => {
    tries += 1
    socket.destroy()
  }).listen(0, '127.0.0.1')
  await once(gone, 'listening')
  const ask = verifierOf({}, ['idp'], `https://localhost:${(gone.address() as AddressInfo).port}`)
  for (let i = 0; i < 50; i++) assert.equal(await ask(newToken()), 'introspection-unavailable')
  assert.ok(tries > 0 && tries < 50, `${tries} tries`)
  gone.close()
})

test('what may be omitted may be omitted, and no more', async () => {
  const ask = verifierOf({ mayOmit: ['aud', 'token_type'] })
  answer = say({ ...active(), aud: undefined, token_type: undefined })
  assert.equal(await ask(newToken()), 'admitted')
  answer = say({ ...active(), aud: 'other', token_type: undefined })
  assert.equal(await ask(newToken()), 'token-audience-wrong')
  answer = say({ ...active(), sub: undefined })
  assert.equal(await ask(newToken()), 'token-claim-missing')
})

test('where tokens are of clients, one with another sub is refused', async () => {
  const ask = verifierOf({ subject: 'client_id' })
  answer = say({ ...active(), sub: undefined, client_id: 'app' })
  assert.equal(await ask(newToken()), 'admitted')
  answer = say({ ...active(), sub: 'alice', client_id: 'app' })
  assert.equal(await ask(newToken()), 'token-claim-invalid')
  answer = say({ ...active(), sub: undefined })
  assert.equal(await ask(newToken()), 'token-claim-missing')
})

test('nobody is asked about what is no bearer token, or where two could be meant', async () => {
  answer = say(active())
  for (const token of ['a b', 'x'.repeat(20_000), 'ä', '=', ''])
    assert.equal(await check(token), 'token-malformed')
  const ask = verifierOf({}, ['idp', 'second'])
  assert.equal(await ask(newToken()), 'token-issuer-unknown')
  assert.equal(asked.length, 0)
})

test('a JWT is introspected by the issuer that it names, and by no other', async () => {
  answer = say(active())
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const jwt = (iss: string) => `${part({ alg: 'RS256' })}.${part({ iss })}.AAAA`
  assert.equal(await check(jwt(issuerUrl)), 'admitted')
  assert.equal(asked.length, 1)
  assert.equal(await check(jwt('https://other.example.com')), 'token-malformed')
  assert.equal(asked.length, 1)
})
