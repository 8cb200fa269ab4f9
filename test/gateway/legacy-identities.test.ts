import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemRandomBytes } from '#contract/clock'
import type { LegacyEvidence } from '#contract/legacy'
import { pass, refuse, type Result } from '#contract/problem'
import { secret } from '#contract/secret'
import type { SpiffeId } from '#contract/spiffe-id'
import { noMeter } from '#contract/telemetry'
import { tokenTypes, type MintedToken, type MintRequest } from '#contract/token-exchange'
import { legacyIdentities } from '#gateway/legacy-identities'

const start = Date.UTC(2030, 0, 1)
const lifetimeMs = 120_000

/** The cache, with an exchange that knows one key. */
const cache = (maxEntries = 100) => {
  let nowMs = start
  let answer: 'knows' | 'forgot' | 'away' = 'knows'
  const asked: MintRequest[] = []
  const identities = legacyIdentities({
    ask: async (request): Promise<Result<MintedToken>> => {
      asked.push(request)
      if (answer === 'away') return refuse('identity-unavailable')
      const evidence = Buffer.from(request.subjectToken.reveal(), 'base64url').toString()
      if (answer === 'forgot' || !evidence.includes('good')) return refuse('credential-refused')
      return pass({
        token: secret('a token'),
        tokenType: request.requestedTokenType,
        subject: 'spiffe://mesh.test/legacy/printer' as SpiffeId,
        audience: request.audience,
        jti: String(asked.length),
        kid: 'k',
        issuedAtMs: nowMs,
        expiresAtMs: nowMs + lifetimeMs,
      })
    },
    maxEntries,
    meter: noMeter,
    randomBytes: systemRandomBytes,
  })
  const wish = { requestedTokenType: tokenTypes.jwt, decisionId: 'd' } as const
  const take = async (evidence: string | LegacyEvidence, audience = 'a') => {
    const shown = typeof evidence === 'string' ? apiKey(evidence) : evidence
    const result = await identities.take(shown, { ...wish, audience }, nowMs)
    return result.ok ? result.value.minted.jti : result.problem.tag
  }
  return {
    take,
    asked,
    size: identities.size,
    pass: (ms: number) => (nowMs += ms),
    exchange: (next: typeof answer) => (answer = next),
  }
}
const apiKey = (key: string): LegacyEvidence => ({ method: 'api_key', key })
const settled = () => new Promise((resolve) => setImmediate(resolve))

test('a credential is asked about once for each audience, by all who show it at once', async () => {
  const { take, asked } = cache()
  assert.deepEqual(await Promise.all([take('good'), take('good')]), ['1', '1'])
  assert.equal(await take('good'), '1')
  assert.equal(await take('good', 'b'), '2')
  assert.equal(await take('good 2'), '3')
  assert.equal(asked.length, 3)
})

test('an identity is asked for anew before it ends, and used on while the exchange is away', async () => {
  const { take, asked, pass: wait, exchange } = cache()
  await take('good')
  wait((lifetimeMs * 2) / 3)
  exchange('away')
  assert.equal(await take('good'), '1')
  await settled()
  assert.equal(asked.length, 2)
  wait(3000)
  exchange('knows')
  assert.equal(await take('good'), '1')
  await settled()
  assert.equal(await take('good'), '3')
  wait(lifetimeMs - 4000)
  exchange('away')
  assert.equal(await take('good'), 'identity-unavailable')
})

test('a credential that the exchange has forgotten is forgotten', async () => {
  const { take, pass: wait, exchange } = cache()
  await take('good')
  wait((lifetimeMs * 2) / 3)
  exchange('forgot')
  await take('good')
  await settled()
  assert.equal(await take('good'), 'credential-refused')
})

test('a refusal is remembered for five seconds, and drives out nobody who is known', async () => {
  const { take, asked, pass: wait } = cache(100)
  await take('good')
  assert.deepEqual([await take('bad'), await take('bad')], Array(2).fill('credential-refused'))
  assert.equal(asked.length, 2)
  for (let i = 0; i < 1000; i++) await take(`bad ${i}`)
  assert.equal(await take('good'), '1')
  wait(5000)
  const before = asked.length
  await take('bad 999')
  assert.equal(asked.length, before + 1)
})

test('an exchange that is away is no refusal', async () => {
  const { take, exchange } = cache()
  exchange('away')
  assert.equal(await take('good'), 'identity-unavailable')
  exchange('knows')
  assert.equal(await take('good'), '2')
})

test('a signed request is asked about each time, and not remembered', async () => {
  const { take, asked, size } = cache()
  const evidence: LegacyEvidence = {
    method: 'signed_request',
    request: {
      method: 'GET',
      authority: 'good',
      path: '/',
      query: '',
      headers: {},
      hasBody: false,
    },
  }
  assert.deepEqual([await take(evidence), await take(evidence)], ['1', '2'])
  assert.deepEqual([asked.length, size()], [2, 0])
})

test('no more are remembered than may be', async () => {
  const { take, size } = cache(100)
  for (let i = 0; i < 1000; i++) await take(`good ${i}`)
  assert.ok(size() <= 100 && size() > 10)
})
