import assert from 'node:assert/strict'
import { createHash, createHmac, generateKeyPairSync, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { exportJWK, SignJWT } from 'jose'
import { tokenExchangeGrant, tokenTypes } from '#contract/token-exchange'
import { needsRedis, startRedis } from '#test/ports/redis-server'
import { newSigningKey, signToken } from '#test/fakes/token-maker'
import { eventually } from '#test/ways/rig'
import { assertionType } from '../clients/exchange-with-clients.ts'
import { orders } from '../fixtures.ts'
import {
  exchangeIssuer,
  issuer,
  startTestExchange,
  type TestExchange,
} from '../running-exchange.ts'

const folder = mkdtempSync(join(tmpdir(), 'sallyport-replicas-'))
after(() => rmSync(folder, { recursive: true }))
const put = (name: string, text: string) => {
  writeFileSync(join(folder, name), text, { mode: 0o600 })
  return join(folder, name)
}
const now = () => Math.floor(Date.now() / 1000)
const idp = newSigningKey('k1')
const batchKey = newSigningKey('b1')
const secretOfRobot = 'a shared secret of more than thirty-two bytes'
const dpopKey = generateKeyPairSync('ec', { namedCurve: 'P-256' })

/** What each replica is configured with, and what they share. */
const replicaOf = (redisPort: number, whenAway = 'refuse') =>
  startTestExchange({
    issuers: {
      corp: {
        issuer,
        audiences: ['edge'],
        jwksFile: put('idp.json', JSON.stringify({ keys: [idp.jwk] })),
        minRemainingSeconds: 0,
      },
    },
    replay: {
      redis: {
        url: { file: put('redis', `redis://127.0.0.1:${redisPort}`) },
        timeoutMs: 5000, // patient, for a busy machine
        whenAway,
      },
    },
    selfService: { issuers: ['corp'], oneTimeIssuers: ['corp'] },
    clients: {
      batch: {
        authentication: {
          method: 'private_key_jwt',
          jwksFile: put('batch.json', JSON.stringify({ keys: [batchKey.jwk] })),
        },
      },
    },
    legacy: {
      callers: {
        robot: {
          spiffeId: 'spiffe://mesh.example/legacy/robot',
          credential: {
            method: 'signed_request',
            secret: { file: put('robot', secretOfRobot) },
          },
        },
      },
    },
    grants: [
      {
        name: 'all',
        to: ['batch', 'self'],
        subjects: ['spiffe://mesh.example/user/*', 'spiffe://mesh.example/legacy/*'],
        tokens: ['access-token', 'jwt-svid'],
        audiences: [orders],
      },
    ],
  })

type Question = { readonly form: Record<string, string>; readonly headers?: Record<string, string> }

const subjectToken = () =>
  signToken(idp, {
    iss: issuer,
    sub: 'alice',
    aud: 'edge',
    iat: now(),
    exp: now() + 300,
    jti: randomUUID(),
  })
const exchangeForm = () => ({
  grant_type: tokenExchangeGrant,
  subject_token: subjectToken(),
  subject_token_type: tokenTypes.jwt,
  requested_token_type: tokenTypes.accessToken,
  audience: orders,
})
const assertion = () =>
  signToken(batchKey, {
    iss: 'batch',
    sub: 'batch',
    aud: exchangeIssuer,
    jti: randomUUID(),
    iat: now(),
    exp: now() + 60,
  })

/** What is good once, each made anew. */
const oneTime: Readonly<Record<string, () => Promise<Question>>> = {
  'a client assertion': async () => ({
    form: {
      ...exchangeForm(),
      client_assertion_type: assertionType,
      client_assertion: assertion(),
    },
  }),
  'a DPoP proof': async () => ({
    form: exchangeForm(),
    headers: {
      dpop: await new SignJWT({
        jti: randomUUID(),
        htm: 'POST',
        htu: `${exchangeIssuer}/token`,
        iat: now(),
      })
        .setProtectedHeader({
          typ: 'dpop+jwt',
          alg: 'ES256',
          jwk: await exportJWK(dpopKey.publicKey),
        })
        .sign(dpopKey.privateKey),
    },
  }),
  'a token of a one-time issuer': async () => ({ form: exchangeForm() }),
  'a signed request': async () => {
    const form = { grant_type: 'client_credentials', audience: orders }
    const type = 'application/x-www-form-urlencoded'
    const digest = createHash('sha256')
      .update(new URLSearchParams(form).toString())
      .digest('base64')
    const params = `("@method" "@authority" "@path" "content-type" "content-digest");created=${now()};nonce="${randomUUID()}";keyid="robot"`
    const base = [
      '"@method": POST',
      `"@authority": ${new URL(exchangeIssuer).host}`,
      '"@path": /token',
      `"content-type": ${type}`,
      `"content-digest": sha-256=:${digest}:`,
      `"@signature-params": ${params}`,
    ].join('\n')
    const mac = createHmac('sha256', secretOfRobot).update(base).digest('base64')
    return {
      form,
      headers: {
        'content-digest': `sha-256=:${digest}:`,
        'signature-input': `sig=${params}`,
        signature: `sig=:${mac}:`,
      },
    }
  },
}

const ask = async (exchange: TestExchange, { form, headers = {} }: Question) => {
  const answer = await exchange.ask({
    method: 'POST',
    path: '/token',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams(form).toString(),
  })
  const { problem, error } = answer.json()
  return { status: answer.status, problem, error, retry: answer.headers['retry-after'] }
}

suite('what is good once', needsRedis, async () => {
  if (needsRedis.skip !== undefined) return
  let redis = await startRedis()
  const [one, other, lenient] = [
    await replicaOf(redis.port),
    await replicaOf(redis.port),
    await replicaOf(redis.port, 'memory'),
  ]
  after(async () => {
    for (const { stop } of [one, other, lenient]) await stop()
    await redis.stop()
  })

  for (const [what, make] of Object.entries(oneTime)) {
    test(`${what} is spent at all replicas by the one that takes it`, async () => {
      const question = await make()
      const first = await ask(one, question)
      assert.equal(first.status, 200, JSON.stringify(first))
      for (const replica of [other, one, lenient])
        assert.equal((await ask(replica, question)).problem, 'token-replayed')
    })

    test(`${what} is taken by one of twenty who bring it at once to two replicas`, async () => {
      const question = await make()
      const all = await Promise.all(
        Array.from({ length: 20 }, (_, i) => ask(i % 2 === 0 ? one : other, question)),
      )
      assert.equal(all.filter(({ status }) => status === 200).length, 1)
      assert.equal(all.filter(({ problem }) => problem === 'token-replayed').length, 19)
    })
  }

  test('is not taken while Redis is away, whoever brings it, and again when it is back', async () => {
    const { port } = redis
    await redis.stop()
    for (const [what, make] of Object.entries(oneTime)) {
      const refused = await ask(one, await make())
      assert.deepEqual(
        [refused.status, refused.problem, refused.error],
        [503, 'replay-unavailable', 'temporarily_unavailable'],
        what,
      )
      assert.ok(Number(refused.retry) > 0)
      const alone = await make()
      assert.equal((await ask(lenient, alone)).status, 200, `${what}, where memory is enough`)
      assert.equal((await ask(lenient, alone)).problem, 'token-replayed')
    }
    redis = await startRedis([], port)
    for (const make of Object.values(oneTime))
      await eventually(async () =>
        (await ask(one, await make())).status === 200 ? true : undefined,
      )
  })

  test('does not depend on Redis for what may come again', async () => {
    await redis.stop()
    const introspected = await other.ask({
      method: 'POST',
      path: '/introspect',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'token=x',
    })
    assert.equal(introspected.status, 401)
    assert.equal((await other.ask({ path: '/keys' })).status, 200)
  })
})
