import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { secret } from '#contract/secret'
import { tokenBatchPath, tokenTypes, type MintRequest } from '#contract/token-exchange'
import { exchangeClient } from '#gateway/exchange-client'
import type { UpstreamClient, UpstreamRequest } from '#http/upstream-client'

const audience = 'spiffe://mesh.test/orders'
const request: MintRequest = {
  subjectToken: secret('outside.token.x'),
  audience,
  requestedTokenType: tokenTypes.jwt,
  decisionId: 'decision-1',
}

const tokenOf = (payload: object, header: object = { alg: 'ES256', kid: 'k1' }) =>
  [header, payload]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.') + '.c2ln'
const good = {
  sub: 'spiffe://mesh.test/alice',
  aud: audience,
  iat: 1000,
  exp: 1300,
  jti: 'j1',
}
const answerWith = (token: string, more: object = {}) => ({
  access_token: token,
  issued_token_type: tokenTypes.jwt,
  token_type: 'N_A',
  ...more,
})

/** An exchange that says what it is told to say, one after the other; what ours really says is tested with ours. */
const saying = (status: number, ...bodies: unknown[]) => sayingAll(200, status, ...bodies)

/** The same, with a status for all that was asked together. */
const sayingAll = (ofAll: number, status: number, ...bodies: unknown[]) => {
  const asked: UpstreamRequest[] = []
  const client: UpstreamClient = {
    dispatch: (question, handler) => {
      const body = bodies[asked.length % bodies.length]
      asked.push(question)
      handler.onStart({ abort: () => {}, pause: () => {}, resume: () => {} })
      setImmediate(() => {
        if (status === 0)
          return handler.onError({ kind: 'unreachable', cause: new Error('refused'), unsent: true })
        handler.onHead(ofAll, [])
        const said = typeof body === 'string' ? body : JSON.stringify(body)
        handler.onData(Buffer.from(`{"question":0,"status":${status},"body":${said}}\n`), false)
        handler.onEnd([])
      })
    },
    close: async () => {},
    destroy: () => {},
    stats: () => ({ open: 0, connecting: 0, inFlight: 0, queued: 0 }),
  }
  const ask = exchangeClient({ client: () => client, authority: 'exchange.test', timeoutMs: 1000 })
  return { ask, asked }
}

const tagOf = async (status: number, body: unknown) => {
  const result = await saying(status, body).ask(request)
  return result.ok ? 'minted' : result.problem.tag
}

suite('Asking the exchange', () => {
  test('the question is RFC 8693, and names the decision that caused it', async () => {
    const { ask, asked } = saying(200, answerWith(tokenOf(good)))
    const result = await ask(request)
    assert.ok(result.ok)
    assert.equal(result.value.subject, good.sub)
    assert.equal(result.value.expiresAtMs, 1_300_000)
    const [question] = asked
    const said = Buffer.isBuffer(question?.body) ? question.body.toString() : ''
    const [{ form: text, request_id }] = JSON.parse(said)
    const form = new URLSearchParams(text)
    assert.deepEqual(Object.fromEntries(form), {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: 'outside.token.x',
      subject_token_type: tokenTypes.jwt,
      requested_token_type: tokenTypes.jwt,
      audience,
    })
    assert.equal(request_id, 'decision-1')
    assert.equal(question?.path, tokenBatchPath)
  })

  test('what can stand in no form and in no JSON arrives all the same', async () => {
    const strange = 'a="\\\u0000ключ\n&b=%22'
    const { ask, asked } = saying(200, answerWith(tokenOf(good)))
    await ask({ ...request, subjectToken: secret(strange) })
    const said = Buffer.isBuffer(asked[0]?.body) ? asked[0].body.toString() : ''
    const [{ form }] = JSON.parse(said)
    assert.equal(new URLSearchParams(form).get('subject_token'), strange)
  })

  for (const [what, status, body, tag] of [
    ['is not there', 0, '', 'identity-unavailable'],
    ['breaks', 500, '', 'identity-unavailable'],
    ['is busy', 429, '', 'identity-unavailable'],
    ['does not know us', 401, { error: 'invalid_client' }, 'identity-unavailable'],
    ['refuses this caller', 400, { error: 'invalid_request' }, 'identity-unmapped'],
    ['says something else', 200, 'hello', 'identity-unavailable'],
    ['gives no token', 200, {}, 'identity-unavailable'],
    [
      'gives another kind',
      200,
      answerWith(tokenOf(good), { issued_token_type: tokenTypes.accessToken }),
      'identity-unavailable',
    ],
    ['gives what is no JWT', 200, answerWith('x'), 'identity-unavailable'],
  ] as const)
    test(`an exchange that ${what} gives ${tag}`, async () => {
      assert.equal(await tagOf(status, body), tag)
    })

  for (const [what, status, body] of [
    ['does not know the question', 404, {}],
    ['does not know that we are a gateway', 400, { error: 'unauthorized_client' }],
  ] as const)
    test(`an exchange that ${what} says nothing of the caller`, async () => {
      const result = await sayingAll(status, status, body).ask(request)
      assert.equal(result.ok ? 'minted' : result.problem.tag, 'identity-unavailable')
    })

  for (const [what, payload] of [
    ['of nobody', { ...good, sub: 'alice' }],
    ['for another audience', { ...good, aud: 'spiffe://mesh.test/billing' }],
    ['for two audiences', { ...good, aud: [audience, 'spiffe://mesh.test/billing'] }],
    ['that never ends', { ...good, exp: undefined }],
    ['without an id', { ...good, jti: undefined }],
  ] as const)
    test(`a token ${what} is not taken`, async () => {
      assert.equal(await tagOf(200, answerWith(tokenOf(payload))), 'identity-unavailable')
    })

  test('a token whose key is not named is not taken', async () => {
    assert.equal(
      await tagOf(200, answerWith(tokenOf(good, { alg: 'ES256' }))),
      'identity-unavailable',
    )
  })

  test('each token has the key that its own header names', async () => {
    const headers = [
      { alg: 'ES256', kid: 'k1' },
      { alg: 'ES256', kid: 'k2' },
      { alg: 'ES256' },
      { alg: 'ES256', kid: 'k2' },
      { alg: 'ES256', kid: 'k2' },
      { alg: 'ES256', kid: 7 },
      { alg: 'ES256', kid: 'k1' },
    ]
    const { ask } = saying(200, ...headers.map((header) => answerWith(tokenOf(good, header))))
    const kids: unknown[] = []
    for (const _ of headers) {
      const result = await ask(request)
      kids.push(result.ok && result.value.kid)
    }
    assert.deepEqual(kids, ['k1', 'k2', false, 'k2', 'k2', false, 'k1'])
  })

  test('after a failure it is left alone for a moment', async () => {
    const { ask, asked } = saying(0, '')
    await ask(request)
    const again = await ask(request)
    assert.ok(!again.ok)
    assert.equal(again.problem.headers?.['Retry-After'], '1')
    assert.equal(asked.length, 1)
  })
})
