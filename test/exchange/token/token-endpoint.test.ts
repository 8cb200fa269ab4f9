import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose'
import supertest from 'supertest'
import { isProblemTag } from '#contract/problem'
import { tokenExchangeGrant, tokenTypes } from '#contract/token-exchange'
import { alice, gateway, orders } from '../fixtures.ts'
import {
  exchangeIssuer,
  issuer,
  startTestExchange,
  type ClientCertificate,
  type TestExchange,
} from '../running-exchange.ts'

let exchange: TestExchange
let client: ClientCertificate
before(async () => {
  exchange = await startTestExchange()
  client = await exchange.join()
})
after(() => exchange.stop())

const lastRecord = () => {
  const record = exchange.records.at(-1)
  assert.ok(record)
  return record
}

suite('the token endpoint', () => {
  test('gives a gateway a JWT-SVID for the caller, which the published keys verify', async () => {
    const token = await exchange.subjectToken()
    const answer = await exchange.exchangeToken({ subject_token: token }, client)
    assert.equal(answer.status, 200, answer.body.toString())
    assert.equal(answer.headers['cache-control'], 'no-store')
    const { access_token, ...rest } = answer.json()
    assert.deepEqual(rest, {
      issued_token_type: tokenTypes.jwt,
      token_type: 'N_A',
      expires_in: 300,
    })
    const keys = (await exchange.ask({ path: '/keys' })).json() as unknown as JSONWebKeySet
    const { payload, protectedHeader } = await jwtVerify(
      String(access_token),
      createLocalJWKSet(keys),
      {
        issuer: exchangeIssuer,
        audience: orders,
        subject: alice,
      },
    )
    assert.deepEqual(Object.keys(protectedHeader).toSorted(), ['alg', 'kid', 'typ'])
    assert.equal((payload.exp ?? 0) - (payload.iat ?? 0), 300)
  })

  test('gives an access token to who asks for one, with the gateway as its client', async () => {
    const token = await exchange.subjectToken()
    const answer = await exchange.exchangeToken(
      { subject_token: token, requested_token_type: tokenTypes.accessToken, client_id: gateway },
      client,
    )
    assert.equal(answer.status, 200)
    assert.equal(answer.json()['token_type'], 'Bearer')
    assert.equal(answer.json()['issued_token_type'], tokenTypes.accessToken)
  })

  test('leaves one record with all that was learned and no token', async () => {
    const token = await exchange.subjectToken({ jti: 'outside-jti' })
    const before = exchange.records.length
    const answer = await exchange.exchangeToken({ subject_token: token }, client)
    assert.equal(exchange.records.length, before + 1)
    const record = lastRecord()
    assert.equal(record.kind, 'exchange')
    assert.equal(record.outcome, 'answered')
    assert.equal(record.step, 'none')
    assert.equal(record.problem, 'none')
    assert.equal(record.status, 200)
    assert.equal(record.client, gateway)
    assert.equal(record.request?.clientSpiffeId, gateway)
    assert.equal(record.request.path, '/token')
    assert.equal(record.request.tls, 'TLSv1.3')
    assert.equal(record.caller?.issuer, 'corp')
    assert.equal(record.caller.subject, 'alice')
    assert.equal(record.caller.jti, 'outside-jti')
    assert.equal(record.parent?.length, 43)
    assert.equal(record.spiffeId, alice)
    assert.equal(record.mapping, 'people')
    assert.equal(record.minted?.audience, orders)
    assert.ok(record.bytesIn > 100 && record.bytesOut > 100)
    const text = JSON.stringify(record)
    for (const secret of [token, String(answer.json()['access_token'])])
      for (const part of [secret, secret.split('.')[2] ?? '']) assert.ok(!text.includes(part))
  })

  test("takes over the decision id of a gateway's request", async () => {
    const ask = (headers: Record<string, string>) =>
      exchange.ask({ method: 'POST', path: '/token', headers, client })
    await ask({ 'x-request-id': 'abc-DEF_123' })
    assert.equal(lastRecord().decisionId, 'abc-DEF_123')
    await ask({ 'x-request-id': 'not one\t' })
    assert.notEqual(lastRecord().decisionId, 'not one\t')
    await exchange.ask({ method: 'POST', path: '/token', headers: { 'x-request-id': 'mine' } })
    assert.notEqual(lastRecord().decisionId, 'mine', 'nobody else may choose it')
  })

  test('a minted token never outlives the token that it came from', async () => {
    const iat = Math.floor(Date.now() / 1000)
    const token = await exchange.subjectToken({ iat, exp: iat + 60 })
    const answer = await exchange.exchangeToken({ subject_token: token }, client)
    const [, payload = ''] = String(answer.json()['access_token']).split('.')
    const { exp } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { exp: number }
    assert.equal(exp, iat + 60)
  })

  const now = () => Math.floor(Date.now() / 1000)
  const rows: Readonly<
    Record<
      string,
      {
        claims?: () => Record<string, unknown>
        form?: Record<string, string>
        code: string
        status?: number
        problem: string
        step: string
      }
    >
  > = {
    'an expired subject token': {
      claims: () => ({ iat: now() - 1000, exp: now() - 100 }),
      code: 'invalid_request',
      problem: 'token-expired',
      step: 'subject token',
    },
    'a subject token that is over within the skew': {
      claims: () => ({ iat: now() - 1000, exp: now() - 5 }),
      code: 'invalid_request',
      problem: 'token-expires-too-soon',
      step: 'grant',
    },
    'a subject token for another audience': {
      claims: () => ({ aud: 'elsewhere' }),
      code: 'invalid_request',
      problem: 'token-audience-wrong',
      step: 'subject token',
    },
    'a subject token of an unknown issuer': {
      claims: () => ({ iss: `${issuer}.evil` }),
      code: 'invalid_request',
      problem: 'token-issuer-unknown',
      step: 'subject token',
    },
    'a subject token that is none': {
      form: { subject_token: 'a.b.c' },
      code: 'invalid_request',
      problem: 'token-malformed',
      step: 'subject token',
    },
    'a caller whom no rule fits': {
      claims: () => ({ sub: 'a/b' }),
      code: 'invalid_request',
      problem: 'identity-unmapped',
      step: 'identify',
    },
    'an audience of another trust domain': {
      form: { audience: 'spiffe://other.example/service' },
      code: 'invalid_target',
      problem: 'target-refused',
      step: 'grant',
    },
    'a resource': {
      form: { resource: 'https://orders.example.com' },
      code: 'invalid_target',
      problem: 'target-refused',
      step: 'request',
    },
    'a scope': {
      form: { scope: 'x' },
      code: 'invalid_scope',
      problem: 'scope-refused',
      step: 'grant',
    },
    'another grant': {
      form: { grant_type: 'client_credentials' },
      code: 'unsupported_grant_type',
      problem: 'grant-unsupported',
      step: 'request',
    },
    'an unknown restriction': {
      form: { authorization_details: '[]' },
      code: 'invalid_request',
      problem: 'exchange-request-invalid',
      step: 'request',
    },
    'another client_id': {
      form: { client_id: alice },
      code: 'invalid_client',
      status: 401,
      problem: 'client-unauthenticated',
      step: 'client',
    },
  }
  for (const [what, { claims, form = {}, code, status = 400, problem, step }] of Object.entries(
    rows,
  ))
    test(`answers ${what} with ${code} and records why`, async () => {
      const subjectToken = await exchange.subjectToken(claims?.() ?? {})
      const answer = await exchange.exchangeToken({ subject_token: subjectToken, ...form }, client)
      assert.equal(answer.status, status)
      assert.equal(answer.headers['cache-control'], 'no-store')
      const body = answer.json()
      assert.equal(body['error'], code)
      assert.equal(body['problem'], problem)
      assert.match(String(body['error_description']), /^[\x20\x21\x23-\x5b\x5d-\x7e]{5,200}$/)
      const record = lastRecord()
      assert.equal(record.outcome, 'refused')
      assert.equal(record.problem, problem)
      assert.ok(isProblemTag(problem))
      assert.equal(record.step, step)
      if (step === 'grant' || step === 'identify') assert.equal(record.caller?.issuer, 'corp')
    })

  test('answers a client without certificate with invalid_client, before it reads a body', async () => {
    const answer = await exchange.exchangeToken({ subject_token: await exchange.subjectToken() })
    assert.equal(answer.status, 401)
    assert.equal(answer.json()['error'], 'invalid_client')
    assert.equal(answer.headers['connection'], 'close')
    assert.equal(lastRecord().step, 'client')
  })

  test('answers a certificate that we did not issue with invalid_client', async () => {
    const other = await startTestExchange()
    const foreign = await other.join()
    await other.stop()
    const answer = await exchange.exchangeToken({ subject_token: 'a.b.c' }, foreign)
    assert.equal(answer.status, 401)
    assert.equal(answer.json()['error'], 'invalid_client')
    assert.match(lastRecord().cause ?? '', /not trusted/)
  })

  for (const [what, headers, body] of [
    ['JSON', { 'content-type': 'application/json' }, '{}'],
    ['no content type', {}, 'grant_type=x'],
    [
      'a form of 40 kB',
      { 'content-type': 'application/x-www-form-urlencoded' },
      'a='.padEnd(40_000, 'x'),
    ],
  ] as const)
    test(`answers ${what} with invalid_request`, async () => {
      const answer = await exchange.ask({ method: 'POST', path: '/token', headers, body, client })
      assert.equal(answer.status, 400)
      assert.equal(answer.json()['error'], 'invalid_request')
      assert.equal(lastRecord().outcome, 'refused')
    })

  test('answers temporarily_unavailable while no record could be left, and mints nothing', async () => {
    exchange.setAuditReady(false)
    const answer = await exchange.exchangeToken(
      { subject_token: await exchange.subjectToken() },
      client,
    )
    exchange.setAuditReady(true)
    assert.equal(answer.status, 503)
    assert.equal(answer.json()['error'], 'temporarily_unavailable')
    assert.ok(Number(answer.headers['retry-after']) > 0)
  })

  test('knows no GET', async () => {
    assert.equal((await exchange.ask({ path: '/token', client })).status, 404)
  })

  test('is used the same way by supertest, as anyone may drive a Fastify listener', async () => {
    const before = exchange.records.length
    const response = await supertest(exchange.urls.exchange)
      .post('/token')
      .ca(exchange.roots())
      .cert(client.cert)
      .key(client.key)
      .type('form')
      .send({
        grant_type: tokenExchangeGrant,
        subject_token: await exchange.subjectToken({ sub: 'bob' }),
        subject_token_type: tokenTypes.jwt,
        requested_token_type: tokenTypes.jwt,
        audience: 'https://orders.example.com',
      })
      .expect(200)
      .expect('content-type', /^application\/json/)
    assert.equal(response.body.issued_token_type, tokenTypes.jwt)
    await exchange.recorded(before + 1)
    assert.equal(lastRecord().spiffeId, 'spiffe://mesh.example/user/bob')
  })

  test('counts what it issued and refused', async () => {
    const scraped = await (await fetch(`${exchange.urls.admin}/metrics`)).text()
    const metrics = scraped
      .split('\n')
      .filter((line) => /^sallyport_(mint|cert)/.test(line))
      .join('\n')
    assert.match(metrics, /sallyport_mints_total\{kind="jwt-svid",result="issued"\} [1-9]/)
    assert.match(metrics, /sallyport_mints_total\{kind="access-token",result="issued"\} 1/)
    assert.match(metrics, /sallyport_mints_total\{kind="x509-svid",result="issued"\} 1/)
    assert.match(metrics, /sallyport_mints_total\{kind="unknown",result="refused"\} [1-9]/)
    assert.match(metrics, /sallyport_mint_duration_seconds_count\{kind="jwt-svid"\} [1-9]/)
    for (const role of ['svid', 'ca'])
      assert.match(
        metrics,
        new RegExp(
          `sallyport_certificate_not_after_timestamp_seconds\\{role="${role}"\\} 1\\.?\\d+`,
        ),
      )
  })
})
