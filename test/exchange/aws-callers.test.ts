import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, suite, test } from 'node:test'
import { awsCallerIdentityType, tokenTypes } from '#contract/token-exchange'
import { presign, signPost } from '#test/fakes/sigv4'
import { answerOf, runSts, type StsPrincipal, type StsServer } from '#test/fakes/sts-server'
import {
  basic,
  mainframeSecret,
  startExchangeWithClients,
  type ExchangeWithClients,
} from './clients/exchange-with-clients.ts'
import { orders } from './fixtures.ts'
import { exchangeIssuer } from './running-exchange.ts'

const role = (name: string, uniqueId: string): StsPrincipal => ({
  arn: `arn:aws:sts::123456789012:assumed-role/${name}/s-1`,
  userId: `${uniqueId}:s-1`,
  account: '123456789012',
})
const keysOf = (accessKeyId: string) => ({
  accessKeyId,
  secretAccessKey: `secret of ${accessKeyId}`,
  sessionToken: `session of ${accessKeyId}+/=`,
})
const nightly = keysOf('ASIANIGHTLYNIGHTLY01')
const nightlyRole = role('nightly', 'AROANIGHTLYNIGHTLY01')
const namesake = keysOf('ASIANAMESAKENAMESAK1')
const stranger = keysOf('ASIASTRANGERSTRANGE1')

let sts: StsServer
let exchange: ExchangeWithClients
const folder = mkdtempSync(join(tmpdir(), 'sallyport-aws-'))
before(async () => {
  sts = await runSts([
    { credentials: nightly, principal: nightlyRole },
    { credentials: namesake, principal: role('pinned', 'AROAANOTHERANOTHER01') },
    { credentials: stranger, principal: role('stranger', 'AROASTRANGERSTRANG01') },
  ])
  writeFileSync(join(folder, 'sts.pem'), sts.ca)
  exchange = await startExchangeWithClients({
    aws: {
      endpoints: [sts.url],
      caFile: join(folder, 'sts.pem'),
      callers: {
        nightly: {
          arn: 'arn:aws:iam::123456789012:role/nightly',
          spiffeId: 'spiffe://mesh.example/user/nightly',
        },
        pinned: {
          arn: 'arn:aws:iam::123456789012:role/pinned',
          uniqueId: 'AROAPINNEDPINNEDPIN1',
          spiffeId: 'spiffe://mesh.example/user/pinned',
        },
      },
    },
  })
})
after(async () => {
  await exchange.stop()
  await sts.close()
  rmSync(folder, { recursive: true })
})
afterEach(() => sts.sayInstead(undefined))

const startedMs = Date.now()
let signedSoFar = 0
/** Each is another one: signed a second earlier than the one before. */
const signed = (
  credentials = nightly,
  changed: Record<string, string | undefined> = {},
  headers: Record<string, string> = { 'x-sallyport-exchange': exchangeIssuer },
) =>
  presign(credentials, { host: sts.host, headers, atMs: startedMs - 1000 * signedSoFar++ }, changed)
const ask = async (
  subjectToken: string,
  more: Record<string, string> = {},
  how: Parameters<ExchangeWithClients['post']>[2] = {},
) =>
  exchange.post(
    '/token',
    {
      ...(await exchange.form()),
      requested_token_type: tokenTypes.jwt,
      subject_token: subjectToken,
      subject_token_type: awsCallerIdentityType,
      ...more,
    },
    how,
  )
const problemOf = async (subjectToken: string, more?: Record<string, string>) => {
  const answer = await ask(subjectToken, more)
  return [answer.status, answer.json()['error'], answer.json()['problem']]
}

suite('a signed GetCallerIdentity', () => {
  test('becomes the identity of its role, and what is minted ends with the request', async () => {
    const answer = await ask(signed(nightly, { 'X-Amz-Expires': '120' }))
    assert.equal(answer.status, 200, answer.body.toString())
    assert.ok(Number(answer.json()['expires_in']) <= 120)
    const record = exchange.records.at(-1)
    assert.equal(record?.spiffeId, 'spiffe://mesh.example/user/nightly')
    assert.equal(record.caller?.subject, nightlyRole.arn)
    assert.equal(record.caller.kid, nightly.accessKeyId)
    assert.equal(record.mapping, 'nightly')
    assert.equal(record.minted?.audience, orders)
    assert.ok(!JSON.stringify(exchange.records).includes('X-Amz'), 'no record has what was signed')
  })

  test('is good once, however it is spelt', async () => {
    const url = signed()
    const [base, query = ''] = url.split('?')
    assert.equal((await ask(url)).status, 200)
    const again = [400, 'invalid_request', 'token-replayed']
    assert.deepEqual(await problemOf(url), again)
    assert.deepEqual(await problemOf(`${base}?${query.split('&').toReversed().join('&')}`), again)
  })

  test('that was refused for what was asked is not spent', async () => {
    const url = signed()
    const elsewhere = await ask(url, { audience: 'https://elsewhere.example' })
    assert.equal(elsewhere.json()['error'], 'invalid_target')
    assert.equal((await ask(url)).status, 200)
  })

  for (const [what, url, tag] of [
    [
      'by a wrong key',
      () => signed({ ...nightly, secretAccessKey: 'x' }),
      'token-signature-invalid',
    ],
    [
      'by a key that AWS does not know',
      () => signed(keysOf('ASIANOBODYNOBODYNOB1')),
      'token-signature-invalid',
    ],
    [
      'with the session of another',
      () => signed({ ...nightly, sessionToken: 'x' }),
      'token-signature-invalid',
    ],
    [
      'for another exchange',
      () => signed(nightly, {}, { 'x-sallyport-exchange': 'https://other.example' }),
      'token-signature-invalid',
    ],
    ['by a role that nobody named', () => signed(stranger), 'identity-unmapped'],
    ['by a role made anew under an old name', () => signed(namesake), 'identity-unmapped'],
  ] as const)
    test(`${what} is refused`, async () => {
      assert.deepEqual(await problemOf(url()), [400, 'invalid_request', tag])
    })

  test('that is not one, or is for another host, is refused without asking anybody', async () => {
    const before = sts.asked.length
    for (const url of [
      signed(nightly, {}, {}),
      signed(nightly, { 'X-Amz-SignedHeaders': 'host' }),
      signed(nightly, { Action: 'AssumeRole' }),
      signed(nightly, { 'X-Amz-Expires': '3600' }),
      signed().replace(sts.host, 'sts.evil.example'),
      signed().replace('https:', 'http:'),
      `${signed()}&Action=AssumeRole`,
    ])
      assert.deepEqual(await problemOf(url), [400, 'invalid_request', 'token-malformed'])
    assert.equal(sts.asked.length, before)
  })

  test('speaks for its sender alone: not for a client, not as an actor, not as another type', async () => {
    const asClient = await ask(signed(), {}, { headers: basic('mainframe', mainframeSecret) })
    assert.equal(asClient.json()['problem'], 'token-type-refused')
    const asActor = await exchange.post('/token', {
      ...(await exchange.form()),
      actor_token: signed(),
      actor_token_type: awsCallerIdentityType,
    })
    assert.equal(asActor.json()['error'], 'invalid_request')
    assert.deepEqual(await problemOf(signed(), { subject_issuer: 'https://idp.example' }), [
      400,
      'invalid_request',
      'exchange-request-invalid',
    ])
    assert.deepEqual(await problemOf(signed(), { subject_token_type: tokenTypes.jwt }), [
      400,
      'invalid_request',
      'token-malformed',
    ])
    assert.deepEqual(await problemOf(await exchange.subjectToken()), [
      400,
      'invalid_request',
      'token-malformed',
    ])
  })
})

suite('a GetCallerIdentity as a signed POST', () => {
  const ours = { 'x-sallyport-exchange': exchangeIssuer }
  const post = (headers: Record<string, string> = ours, credentials = nightly, more = {}) =>
    signPost(credentials, {
      host: sts.host,
      headers,
      atMs: Date.now() - 1000 * (signedSoFar++ % 60),
      ...more,
    })
  type Post = Awaited<ReturnType<typeof post>>
  const asked = async (signed: object) => problemOf(JSON.stringify(signed))
  const granted = [200, undefined, undefined]

  test('becomes the identity of its role, as the SDK of AWS signs it, and is good once', async () => {
    const signed = await post()
    const answer = await ask(JSON.stringify(signed))
    assert.equal(answer.status, 200, answer.body.toString())
    assert.equal(exchange.records.at(-1)?.spiffeId, 'spiffe://mesh.example/user/nightly')
    assert.ok(!JSON.stringify(exchange.records).includes('AWS4-HMAC'), 'no record has it')
    assert.deepEqual(await asked(signed), [400, 'invalid_request', 'token-replayed'])
    const { headers, ...rest } = signed
    const respelt = {
      headers: Object.entries(headers).map(([key, value]) => ({ key: key.toUpperCase(), value })),
      ...rest,
    }
    assert.deepEqual(await asked(respelt), [400, 'invalid_request', 'token-replayed'])
  })

  test('may be written as Vault’s clients and as Google’s do', async () => {
    const { headers, ...rest } = await post({ ...ours, 'content-length': '43' })
    const lists = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, [value]]),
    )
    assert.deepEqual(
      await asked({ ...rest, headers: { ...lists, 'User-Agent': ['aws-sdk-go/1.44'] } }),
      granted,
    )
    const query = { Action: 'GetCallerIdentity', Version: '2011-06-15' }
    const inQuery = await post(ours, nightly, { body: '', query })
    const { body: _, ...google } = inQuery
    const pairs = Object.entries(inQuery.headers).map(([key, value]) => ({ key, value }))
    assert.deepEqual(await asked({ ...google, headers: pairs }), granted)
  })

  test('that was signed for another exchange, by another or by nobody is refused by STS', async () => {
    const refused = [400, 'invalid_request', 'token-signature-invalid']
    const elsewhere = await post({ 'x-sallyport-exchange': 'https://other.example' })
    const { 'x-sallyport-exchange': _, ...others } = elsewhere.headers
    assert.deepEqual(await asked({ ...elsewhere, headers: others }), refused)
    assert.deepEqual(await asked(await post(ours, { ...nightly, secretAccessKey: 'x' })), refused)
    assert.deepEqual(await asked(await post(ours, { ...nightly, sessionToken: 'x' })), refused)
    assert.equal((await asked(await post(ours, stranger)))[2], 'identity-unmapped')
  })

  test('that is not one is refused without asking anybody (CVE-2020-16250, CVE-2026-71861)', async () => {
    const before = sts.asked.length
    const rows: readonly ((signed: Post) => object | Promise<object>)[] = [
      () => post({}), // the binding header is not signed
      async () => {
        const unbound = await post({})
        return { ...unbound, headers: { ...unbound.headers, ...ours } }
      },
      (signed) => ({ ...signed, method: 'GET' }),
      (signed) => ({ ...signed, url: 'https://sts.evil.example/' }),
      (signed) => ({ ...signed, url: signed.url.replace('https:', 'http:') }),
      (signed) => ({ ...signed, url: `${signed.url}?Action=AssumeRole` }),
      (signed) => ({ ...signed, url: `${signed.url}x` }),
      (signed) => ({ ...signed, url: `https://me@${sts.host}/` }),
      (signed) => ({ ...signed, body: 'Action=AssumeRole&Version=2011-06-15' }),
      (signed) => ({ ...signed, body: `${signed.body}&Action=AssumeRole` }),
      (signed) => ({ ...signed, body: '' }),
      (signed) => ({ ...signed, extra: 1 }),
      (signed) => ({ ...signed, headers: [] }),
      (signed) => ({ ...signed, headers: 'Authorization: x' }),
      (signed) => ({ ...signed, headers: { ...signed.headers, host: 'sts.evil.example' } }),
      (signed) => ({ ...signed, headers: { ...signed.headers, 'x-forwarded-host': 'x' } }),
      (signed) => ({ ...signed, headers: { ...signed.headers, Authorization: 'x' } }),
      (signed) => ({ ...signed, headers: { ...signed.headers, 'X-Sallyport-Exchange': 'x' } }),
      (signed) => ({ ...signed, headers: { ...signed.headers, authorization: 'Bearer x' } }),
      (signed) => ({ ...signed, headers: { ...signed.headers, 'content-length': '44' } }),
      (signed) => ({ ...signed, headers: { ...signed.headers, 'content-type': 'text/xml' } }),
      (signed) => ({ ...signed, headers: { ...signed.headers, 'content-type': 'a\r\nb: c' } }),
      (signed) => ({ ...signed, headers: { ...signed.headers, 'x-amz-content-sha256': 'x' } }),
      (signed) => ({ ...signed, headers: { ...signed.headers, 'x-amz-date': '20260230T000000Z' } }),
      () => post(ours, nightly, { atMs: Date.now() - 301_000 }),
      () => post(ours, nightly, { atMs: Date.now() + 120_000 }),
    ]
    for (const [i, change] of rows.entries())
      assert.deepEqual(
        await asked(await change(await post())),
        [400, 'invalid_request', 'token-malformed'],
        `row ${i}`,
      )
    assert.equal(sts.asked.length, before)
    assert.equal((await problemOf('{"method":'))[2], 'token-malformed')
    assert.equal((await problemOf(`{"a":${'['.repeat(500)}`))[2], 'token-malformed')
  })
})

suite('when STS', () => {
  for (const [what, answer] of [
    ['fails', { status: 500 }],
    ['throttles', { status: 400, body: '<ErrorResponse/>' }],
    ['sends elsewhere', { status: 302, headers: { location: 'https://evil.example/' } }],
  ] as const)
    test(`${what}, callers are told to come back, and nobody gets in`, async () => {
      sts.sayInstead(answer)
      const refused = await ask(signed())
      assert.equal(refused.status, 503)
      assert.equal(refused.json()['error'], 'temporarily_unavailable')
      assert.equal(refused.headers['retry-after'], '5')
    })

  for (const [what, answer] of [
    [
      'a web page',
      { status: 200, body: '<html></html>', headers: { 'content-type': 'text/html' } },
    ],
    [
      'something that quotes an answer (CVE-2020-16250)',
      { status: 200, body: `<Message>${answerOf(nightlyRole)}</Message>` },
    ],
    [
      'JSON that names somebody',
      {
        status: 200,
        body: JSON.stringify(nightlyRole),
        headers: { 'content-type': 'application/json' },
      },
    ],
    [
      'a root',
      { status: 200, body: answerOf({ ...nightlyRole, arn: 'arn:aws:iam::123456789012:root' }) },
    ],
    ['20 kB', { status: 200, body: answerOf(nightlyRole) + ' '.repeat(20_000) }],
  ] as const)
    test(`answers with ${what}, nobody gets in`, async () => {
      sts.sayInstead(answer)
      const refused = await ask(signed())
      assert.ok(refused.status === 400 || refused.status === 503, String(refused.status))
      assert.equal(refused.json()['access_token'], undefined)
    })
})
