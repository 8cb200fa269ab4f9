import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, suite, test } from 'node:test'
import { noLog, noMeter } from '#contract/telemetry'
import type { Issuer } from '#config/schema'
import { tokenReviewer } from '#exchange/token-review/reviewer'
import { readReview, reviewOf } from '#exchange/token-review/read-review'
import { issuerConfig } from '#test/fakes/issuer-config'
import { makeWebCertificate, runHttps } from '#test/fakes/https-server'
import { platformClaims } from '#test/fakes/platform-claims'
import { verifiedToken } from '../fixtures.ts'

type Json = Record<string, unknown>

const claims = platformClaims.kubernetes
const subject = String(claims['sub'])
const verified = (fingerprint = 'f'.repeat(43)) =>
  verifiedToken({ subject, claims, audiences: ['vault', 'sallyport'], fingerprint })
const user = {
  username: subject,
  uid: '0d4c1d50-3333-4a6b-8e0b-5a0c8a2f0003',
  groups: ['system:serviceaccounts', 'system:serviceaccounts:shop', 'system:authenticated'],
  extra: {
    'authentication.kubernetes.io/pod-name': ['orders-7'],
    'authentication.kubernetes.io/pod-uid': ['0d4c1d50-2222-4a6b-8e0b-5a0c8a2f0002'],
  },
}
const good: Json = { authenticated: true, user, audiences: ['sallyport'] }
const answerWith = (status: unknown, more: Json = {}) =>
  JSON.stringify({ kind: 'TokenReview', apiVersion: 'authentication.k8s.io/v1', status, ...more })

suite('what an API server says of a token', () => {
  const read = (body: string) => readReview(Buffer.from(body), verified(), ['sallyport'])

  test('asks for audiences of ours that the token has', () => {
    assert.deepEqual(JSON.parse(reviewOf('a.b.c', ['sallyport'])), {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token: 'a.b.c', audiences: ['sallyport'] },
    })
  })

  test('is that it is good, for us, and of the account and the pod that it names', () => {
    assert.deepEqual(read(answerWith(good)), { ok: true, value: { why: undefined } })
  })

  for (const [what, status] of [
    ['it is not authenticated', { ...good, authenticated: false }],
    ['it does not say that it is', { user: {}, error: 'token has been invalidated' }],
    ['it says so as a text', { ...good, authenticated: 'true' }],
    ['it is, with an error', { ...good, error: 'cache is stale' }],
    ['it is for another audience', { ...good, audiences: ['https://kubernetes.default.svc'] }],
    ['it is for no audience that is said', { ...good, audiences: undefined }],
    ['it is for an audience that is a text', { ...good, audiences: 'sallyport' }],
    ['it is of another account', { ...good, user: { ...user, username: `${subject}2` } }],
    ['it is of a user', { ...good, user: { ...user, groups: ['system:authenticated'] } }],
    ['it is of an account made anew', { ...good, user: { ...user, uid: 'another' } }],
    [
      'it is of another pod',
      { ...good, user: { ...user, extra: { 'authentication.kubernetes.io/pod-uid': ['x'] } } },
    ],
    ['it is of no pod', { ...good, user: { ...user, extra: undefined } }],
    ['it is of nobody', { ...good, user: undefined }],
  ] as const)
    test(`is that it is not good if ${what}`, () => {
      const result = read(answerWith(status))
      assert.ok(result.ok && result.value.why !== undefined, JSON.stringify(result))
    })

  for (const [what, body] of [
    ['nothing', ''],
    ['no JSON', '<html>'],
    ['another kind', answerWith(good, { kind: 'SubjectAccessReview' })],
    ['another version', answerWith(good, { apiVersion: 'authentication.k8s.io/v1beta1' })],
    ['no status', answerWith(undefined)],
    ['a member twice', answerWith(good).replace('"status"', '"status":{},"status"')],
  ] as const)
    test(`is nothing at all in ${what}`, () => {
      assert.equal(read(body).ok, false)
    })
})

const folder = mkdtempSync(join(tmpdir(), 'sallyport-review-'))
const tokenFile = join(folder, 'token')
const caFile = join(folder, 'ca.pem')
/** As kubelet does: the new one is put in the old one's place. */
const rotate = (token: string) => {
  writeFileSync(`${tokenFile}.new`, `${token}\n`)
  renameSync(`${tokenFile}.new`, tokenFile)
}
const { ca, server: certificate } = makeWebCertificate()
writeFileSync(caFile, ca)

let asked: { authorization: string | undefined; body: Json }[] = []
let answer: { status: number; body: string; after?: Promise<void> } = { status: 201, body: '' }
const apiserver = await runHttps(certificate, (request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const { authorization } = request.headers
    asked.push({ authorization, body: JSON.parse(Buffer.concat(chunks).toString()) as Json })
    void (answer.after ?? Promise.resolve()).then(() => {
      response.writeHead(answer.status, { 'content-type': 'application/json' })
      response.end(answer.body)
    })
  })
})
after(async () => {
  await apiserver.close()
  rmSync(folder, { recursive: true })
})
beforeEach(() => {
  asked = []
  answer = { status: 201, body: answerWith(good) }
  rotate('own-token-1')
})

const cluster: Issuer = issuerConfig({ platform: 'kubernetes', audiences: ['sallyport', 'other'] })
const reviewerOf = (more: { cacheSeconds?: number; url?: string; timeoutMs?: number } = {}) => {
  let uptime = 0
  const reviewer = tokenReviewer(
    'cluster',
    cluster,
    { url: apiserver.url, caFile, tokenFile, timeoutMs: 2000, cacheSeconds: 10, ...more },
    { uptimeMs: () => uptime, meter: noMeter, log: noLog },
  )
  after(reviewer.close)
  const outcome = async (atMs = 0, token = verified()) => {
    const result = await reviewer.review('a.b.c', token, atMs)
    return result.ok ? 'good' : result.problem.tag
  }
  return { ...reviewer, outcome, pass: (ms: number) => (uptime += ms) }
}

suite('a reviewer', () => {
  test('asks with its own token as it is now, for audiences that are ours and of the token', async () => {
    const { outcome } = reviewerOf({ cacheSeconds: 0 })
    assert.equal(await outcome(), 'good')
    rotate('own-token-2')
    assert.equal(await outcome(), 'good')
    assert.deepEqual(
      asked.map(({ authorization }) => authorization),
      ['Bearer own-token-1', 'Bearer own-token-2'],
    )
    assert.deepEqual(asked[0]?.body['spec'], { token: 'a.b.c', audiences: ['sallyport'] })
  })

  test('remembers an answer for a while, good or not, each token’s own', async () => {
    const { outcome } = reviewerOf()
    assert.equal(await outcome(0), 'good')
    answer = { status: 201, body: answerWith({ user: {}, error: 'invalidated' }) }
    assert.equal(await outcome(9000), 'good')
    assert.equal(await outcome(9000, verified('g'.repeat(43))), 'token-revoked')
    assert.equal(asked.length, 2)
    assert.equal(await outcome(10_001), 'token-revoked')
    answer = { status: 201, body: answerWith(good) }
    assert.equal(await outcome(15_000), 'token-revoked')
    assert.equal(await outcome(20_002), 'good')
    assert.equal(asked.length, 4)
  })

  test('asks once for those who come at once', async () => {
    const { outcome } = reviewerOf({ cacheSeconds: 0 })
    const { promise, resolve } = Promise.withResolvers<void>()
    answer = { ...answer, after: promise }
    const all = Array.from({ length: 50 }, () => outcome())
    resolve()
    assert.deepEqual(new Set(await Promise.all(all)), new Set(['good']))
    assert.equal(asked.length, 1)
  })

  test('is held up by no more than 64 questions at a time', async () => {
    const { outcome } = reviewerOf({ cacheSeconds: 0, timeoutMs: 30_000 })
    const { promise, resolve } = Promise.withResolvers<void>()
    answer = { ...answer, after: promise }
    const all = Array.from({ length: 70 }, (_, i) =>
      outcome(0, verified(String(i).padStart(43, 'x'))),
    )
    const refused = await Promise.all(all.slice(64))
    assert.deepEqual(new Set(refused), new Set(['issuer-unavailable']))
    resolve()
    assert.deepEqual(new Set(await Promise.all(all.slice(0, 64))), new Set(['good']))
  })

  for (const [what, said, hint] of [
    ['does not know our own token', { status: 401, body: '{}' }, /our own token is not good/],
    ['does not let us ask', { status: 403, body: '{}' }, /system:auth-delegator/],
    ['fails', { status: 500, body: '{}' }, /status 500/],
    ['answers as if it were something else', { status: 200, body: answerWith(good) }, /status 200/],
    ['sends elsewhere', { status: 302, body: '' }, /status 302/],
    ['answers with rubbish', { status: 201, body: 'x' }, /not JSON/],
    [
      'answers with 100 kB',
      { status: 201, body: answerWith(good) + ' '.repeat(100_000) },
      /larger/,
    ],
  ] as const)
    test(`refuses with 503 while the API server ${what}, and remembers nothing of it`, async () => {
      const { outcome, fault, pass } = reviewerOf()
      answer = said
      assert.equal(await outcome(), 'issuer-unavailable')
      assert.match(fault() ?? '', hint)
      answer = { status: 201, body: answerWith(good) }
      pass(1000)
      assert.equal(await outcome(), 'good')
      assert.equal(fault(), undefined)
    })

  test('refuses with 503 while nobody answers, asks nobody for half a second, and then again', async () => {
    const { outcome, pass, fault } = reviewerOf({ url: 'https://127.0.0.1:1' })
    assert.equal(await outcome(), 'issuer-unavailable')
    assert.match(fault() ?? '', /ECONNREFUSED/)
    assert.equal(await outcome(), 'issuer-unavailable')
    pass(600)
    assert.equal(await outcome(), 'issuer-unavailable')
  })

  for (const [what, write] of [
    ['is gone', () => rmSync(tokenFile)],
    ['is empty', () => rotate('')],
    ['holds more than one token', () => rotate('a b')],
  ] as const)
    test(`refuses with 503 while the file with our own token ${what}, and asks nobody`, async () => {
      const { outcome, fault } = reviewerOf()
      write()
      assert.equal(await outcome(), 'issuer-unavailable')
      assert.ok(fault()?.includes(tokenFile))
      assert.equal(asked.length, 0)
      rotate('own-token-3')
      assert.equal(await outcome(), 'good')
    })
})
