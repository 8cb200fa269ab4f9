// What a gateway asks at once: each question is answered, limited, recorded and refused as at /token, and nobody else may ask so.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2'
import { createServer, type AddressInfo } from 'node:net'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import {
  maxTokenBatch,
  maxTokenBatchBytes,
  tokenTypes,
  type TokenBatchAnswer,
} from '#contract/token-exchange'
import { gateway } from '../fixtures.ts'
import {
  overHttp2,
  questionForm,
  startTestExchange,
  type Answer,
  type ClientCertificate,
  type Question,
  type TestExchange,
} from '../running-exchange.ts'

/** An issuer that takes connections and never says anything. */
const silentServer = createServer(() => {}).listen(0, '127.0.0.1')
await once(silentServer, 'listening')
const silentIssuer = `https://127.0.0.1:${(silentServer.address() as AddressInfo).port}`

const folder = mkdtempSync(join(tmpdir(), 'sallyport-batch-'))
const secretFile = join(folder, 'secret')
writeFileSync(secretFile, 'a-secret', { mode: 0o600 })

const toBatch = {
  ':method': 'POST',
  ':path': '/token/batch',
  'content-type': 'application/json',
}
const pingOf = (over: ClientHttp2Session): Promise<unknown> =>
  new Promise((resolve) => {
    over.ping(resolve)
  })

suite('Several questions at once', () => {
  let exchange: TestExchange
  let certificate: ClientCertificate
  before(async () => {
    exchange = await startTestExchange({
      issuers: {
        corp: {
          issuer: 'https://idp.example',
          audiences: ['edge'],
          jwksFile: 'jwks.json',
          minRemainingSeconds: 0,
        },
        silent: {
          issuer: silentIssuer,
          audiences: ['edge'],
          introspection: {
            endpoint: `${silentIssuer}/introspection`,
            authentication: {
              method: 'client_secret_basic',
              clientId: 'us',
              secret: { file: secretFile },
            },
          },
        },
      },
    })
    certificate = await exchange.join()
  })
  after(async () => {
    await exchange.stop()
    silentServer.close()
    rmSync(folder, { recursive: true })
  })

  const formOf = async (form: Record<string, string> = {}) =>
    questionForm({ subject_token: await exchange.subjectToken(), ...form })
  const post = (body: string | Buffer, more: Partial<Question> = {}): Promise<Answer> =>
    exchange.ask({
      method: 'POST',
      path: '/token/batch',
      headers: { 'content-type': 'application/json' },
      body,
      client: certificate,
      ...more,
    })
  const connect = () => overHttp2(exchange, certificate)
  const answersIn = ({ body }: Pick<Answer, 'body'>): TokenBatchAnswer[] =>
    body
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as TokenBatchAnswer)
      .toSorted((one, other) => one.question - other.question)

  test('each is answered as at /token, in its place, with a record of its own', async () => {
    const before = exchange.records.length
    const forms = [
      await formOf(),
      await formOf({ audience: 'https://elsewhere.example' }),
      'grant_type=%',
      await formOf({ subject_token: 'no.to.ken' }),
      await formOf({ requested_token_type: tokenTypes.accessToken }),
    ]
    const trace = '0af7651916cd43dd8448eb211c80319c'
    const questions = forms.map((form, i) => ({
      form,
      request_id: `caused-by-${i}`,
      ...(i === 0 ? { traceparent: `00-${trace}-b7ad6b7169203331-01` } : {}),
    }))
    const answer = await post(JSON.stringify(questions))
    assert.equal(answer.status, 200)
    assert.equal(answer.headers['content-type'], 'application/x-ndjson')
    assert.equal(answer.headers['cache-control'], 'no-store')
    const answers = answersIn(answer)
    assert.deepEqual(
      answers.map(({ question, status, body }) => [question, status, body['error'] ?? 'none']),
      [
        [0, 200, 'none'],
        [1, 400, 'invalid_target'],
        [2, 400, 'invalid_request'],
        [3, 400, 'invalid_request'],
        [4, 200, 'none'],
      ],
    )
    assert.equal(answers[0]?.body['issued_token_type'], tokenTypes.jwt)

    await exchange.recorded(before + forms.length)
    const records = exchange.records.slice(before)
    assert.equal(records.length, forms.length)
    for (const [i, form] of forms.entries()) {
      const record = records.find(({ decisionId }) => decisionId === `caused-by-${i}`)
      const { status } = answers[i] as TokenBatchAnswer
      assert.equal(record?.status, status)
      assert.equal(record?.outcome, status === 200 ? 'answered' : 'refused')
      assert.equal(record?.bytesIn, form.length)
      assert.equal(record?.request?.path, '/token/batch')
      assert.equal(record?.request?.clientSpiffeId, gateway)
      assert.equal(record?.traceId, i === 0 ? trace : undefined)
    }
  })

  test('the same as alone: a question at /token gets the same refusal', async () => {
    const forms = [
      await formOf({ audience: 'https://elsewhere.example' }),
      await formOf({ subject_token: 'no.to.ken' }),
      await formOf({ actor_token: 'x' }),
      await formOf({ scope: 'x'.repeat(33_000) }),
    ]
    const together = answersIn(await post(JSON.stringify(forms.map((form) => ({ form })))))
    for (const [i, form] of forms.entries()) {
      const alone = await exchange.ask({
        method: 'POST',
        path: '/token',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: form,
        client: certificate,
      })
      assert.equal(together[i]?.status, alone.status)
      assert.deepEqual(together[i]?.body, alone.json())
    }
  })

  test('as many as may be at once are answered', async () => {
    const form = await formOf()
    const answers = answersIn(
      await post(JSON.stringify(Array.from({ length: maxTokenBatch }, () => ({ form })))),
    )
    assert.deepEqual(
      answers.map(({ question }) => question),
      Array.from({ length: maxTokenBatch }, (_, i) => i),
    )
    assert.ok(answers.every(({ status }) => status === 200))
    assert.equal(new Set(answers.map(({ body }) => body['access_token'])).size, maxTokenBatch)
  })

  for (const [what, body] of [
    ['nothing', ''],
    ['no JSON', '[{"form":'],
    ['no list', '{"form":"grant_type=x"}'],
    ['none', '[]'],
    [
      'too many',
      JSON.stringify(Array.from({ length: maxTokenBatch + 1 }, () => ({ form: 'a=b' }))),
    ],
    ['one that is null', '[null]'],
    ['one that is a list', '[["a=b"]]'],
    ['one without a form', '[{"request_id":"a"}]'],
    ['one whose form is no text', '[{"form":7}]'],
    ['one with a member that nobody knows', '[{"form":"a=b","scope":"x"}]'],
    ['one deeper than any stack', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
    ['too much', JSON.stringify([{ form: 'x'.repeat(maxTokenBatchBytes) }])],
  ] as const)
    test(`${what} is refused as a whole, in one record`, async () => {
      const before = exchange.records.length
      const answer = await post(body)
      assert.equal(answer.status, 400)
      assert.equal(answer.json()['error'], 'invalid_request')
      await exchange.recorded(before + 1)
      assert.equal(exchange.records.length, before + 1)
      assert.equal(exchange.records.at(-1)?.outcome, 'refused')
      assert.equal(exchange.records.at(-1)?.step, 'body')
    })

  for (const [what, more] of [
    ['parameters in the URL', { path: '/token/batch?audience=x' }],
    [
      'a body that is coded once more',
      { headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' } },
    ],
    ['another type', { headers: { 'content-type': 'application/x-www-form-urlencoded' } }],
    ['another charset', { headers: { 'content-type': 'application/json; charset=latin1' } }],
  ] as const)
    test(`${what} is refused`, async () => {
      const answer = await post(JSON.stringify([{ form: await formOf() }]), more)
      assert.equal(answer.status, 400, answer.body.toString())
    })

  test('only a gateway may: nobody without a certificate, no secret in its place', async () => {
    const body = JSON.stringify([{ form: await formOf() }])
    for (const headers of [{}, { authorization: 'Basic YTpi' }]) {
      const before = exchange.records.length
      const answer = await exchange.ask({
        method: 'POST',
        path: '/token/batch',
        headers: { 'content-type': 'application/json', ...headers },
        body,
      })
      assert.equal(answer.status, 400)
      assert.equal(answer.json()['error'], 'unauthorized_client')
      assert.equal(exchange.records.at(before)?.problem, 'client-not-allowed')
      assert.equal(exchange.records.at(before)?.step, 'client')
    }
  })

  test('while no record could be left, none is answered', async () => {
    exchange.setAuditReady(false)
    const answer = await post(JSON.stringify([{ form: await formOf() }]))
    exchange.setAuditReady(true)
    assert.equal(answer.status, 503)
    assert.equal(answer.json()['problem'], 'audit-unavailable')
  })

  for (const [what, end] of [
    ['whose stream is reset', (stream: ClientHttp2Stream) => stream.destroy()],
    [
      'whose connection is cut',
      (_stream: ClientHttp2Stream, socket: TLSSocket) => socket.destroy(),
    ],
  ] as const)
    test(`a body that never comes whole is recorded: one ${what}`, async () => {
      const { over, socket } = await connect()
      const before = exchange.records.length
      const stream = over.request(toBatch, { endStream: false })
      stream.on('error', () => {})
      stream.write('[{')
      await pingOf(over) // by then the exchange has read it
      end(stream, socket)
      await exchange.recorded(before + 1)
      socket.destroy()
      const record = exchange.records[before]
      assert.equal(record?.problem, 'caller-gone')
      assert.equal(record?.step, 'body')
      assert.equal(exchange.records.length, before + 1)
    })

  test('whoever is slow to be decided holds up nobody, and is recorded when the gateway has gone', async () => {
    const { over, socket } = await connect()
    const before = exchange.records.length
    const stream = over.request(toBatch, { endStream: false })
    stream.on('error', () => {})
    const slow = await formOf({
      subject_token: 'opaque-to-us',
      subject_token_type: tokenTypes.accessToken,
      subject_issuer: silentIssuer,
    })
    stream.end(
      JSON.stringify([
        { form: slow, request_id: 'slow' },
        { form: await formOf(), request_id: 'fast' },
      ]),
    )
    const [first] = (await once(stream, 'data')) as [Buffer]
    assert.deepEqual(
      answersIn({ body: first }).map(({ question, status }) => [question, status]),
      [[1, 200]],
    )
    await exchange.recorded(before + 1)
    assert.equal(exchange.records[before]?.decisionId, 'fast')
    socket.destroy()
    await exchange.recorded(before + 2)
    const record = exchange.records[before + 1]
    assert.equal(record?.decisionId, 'slow')
    assert.equal(record?.outcome, 'failed')
    assert.equal(record?.problem, 'caller-gone')
    assert.equal(record?.step, 'subject token')
  })
})
