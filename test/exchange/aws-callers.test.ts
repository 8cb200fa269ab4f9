import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, suite, test } from 'node:test'
import { awsCallerIdentityType, tokenTypes } from '#contract/token-exchange'
import { presign } from '#test/fakes/sigv4'
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
