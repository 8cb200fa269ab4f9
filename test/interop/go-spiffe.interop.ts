import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { after, suite, test } from 'node:test'
import { text } from 'node:stream/consumers'
import { startTestExchange } from '../exchange/running-exchange.ts'
import { gateway, orders } from '../exchange/fixtures.ts'
import { makeRoot } from '../fakes/openssl.ts'
import { findTool, without } from '../tools.ts'

const judge = findTool('go-spiffe-verify')
const installed = without({ 'go-spiffe-verify': judge })
const trustDomain = 'mesh.example'

type Judgement = {
  readonly ok: boolean
  readonly error?: string
  readonly spiffeId?: string
  readonly uris?: number
  readonly digitalSignature?: boolean
  readonly serverAndClient?: boolean
  readonly criticalExtensions?: readonly string[]
  readonly sequence?: number
  readonly refreshHintSeconds?: number
  readonly x509Authorities?: number
  readonly jwtAuthorities?: number
}

/** What go-spiffe says to each question. */
const ask = async (...questions: readonly object[]): Promise<readonly Judgement[]> => {
  const child = spawn(String(judge), { stdio: ['pipe', 'pipe', 'inherit'], timeout: 60_000 })
  child.stdin.end(JSON.stringify(questions.map((question) => ({ trustDomain, ...question }))))
  const answers = JSON.parse(await text(child.stdout)) as readonly Judgement[]
  assert.equal(answers.length, questions.length)
  return answers
}

/** One bit in the midst is another. */
const spoilt = (token: string): string => {
  const [head = '', payload = '', signature = ''] = token.split('.')
  const bytes = Buffer.from(signature, 'base64url')
  bytes[10] = (bytes[10] ?? 0) ^ 1
  return [head, payload, bytes.toString('base64url')].join('.')
}

suite('go-spiffe', installed, async () => {
  if (installed.skip !== undefined) return
  const exchange = await startTestExchange()
  after(exchange.stop)
  const bundle = (await exchange.ask({ path: '/bundle' })).body.toString()
  const client = await exchange.join()

  test('takes our JWT-SVID, and none that is spoilt, for another audience, or of another bundle', async () => {
    const minted = await exchange.exchangeToken(
      { subject_token: await exchange.subjectToken() },
      client,
    )
    const token = String(minted.json()['access_token'])
    const question = { kind: 'jwt-svid', token, audience: orders, bundle }
    const keyless = JSON.stringify({ keys: keysOf(bundle).filter(({ use }) => use !== 'jwt-svid') })
    const [ours, broken, forOther, withoutKeys] = await ask(
      question,
      { ...question, token: spoilt(token) },
      { ...question, audience: 'spiffe://mesh.example/other' },
      { ...question, bundle: keyless },
    )
    assert.deepEqual(
      [ours?.ok, ours?.spiffeId, ours?.error],
      [true, 'spiffe://mesh.example/user/alice', undefined],
    )
    assert.match(broken?.error ?? '', /verif|crypto/)
    assert.match(forOther?.error ?? '', /audience/)
    assert.match(withoutKeys?.error ?? '', /authority|key/)
  })

  test('takes our X.509-SVID: its chain, its one URI, its usages', async () => {
    const chain = client.cert
    const [leaf = '', intermediate = ''] = chain.split(/(?<=-----END CERTIFICATE-----\n)/)
    const foreign = JSON.stringify({ keys: [rootKey()] })
    const question = { kind: 'x509-svid', chain, bundle }
    const [ours, withoutIntermediate, ofIntermediate, ofOtherRoot] = await ask(
      question,
      { ...question, chain: leaf },
      { ...question, chain: intermediate },
      { ...question, bundle: foreign },
    )
    assert.deepEqual(ours, {
      ok: true,
      spiffeId: gateway,
      uris: 1,
      digitalSignature: true,
      serverAndClient: true,
      // basic constraints, key usage, and the name, for there is no subject
      criticalExtensions: ['2.5.29.19', '2.5.29.15', '2.5.29.17'],
    })
    assert.match(withoutIntermediate?.error ?? '', /unknown authority/)
    assert.equal(ofIntermediate?.ok, false)
    assert.match(ofOtherRoot?.error ?? '', /unknown authority/)
  })

  test('reads our bundle, and says what it reads: authorities, number and hint', async () => {
    const { spiffe_sequence: sequence } = JSON.parse(bundle) as { spiffe_sequence: number }
    const [ours, broken, other] = await ask(
      { kind: 'bundle', bundle },
      { kind: 'bundle', bundle: bundle.replace('"x5c":["', '"x5c":["x') },
      { kind: 'bundle', bundle: '{}' },
    )
    assert.deepEqual(ours, {
      ok: true,
      sequence,
      refreshHintSeconds: 300,
      x509Authorities: keysOf(bundle).filter(({ use }) => use === 'x509-svid').length,
      jwtAuthorities: keysOf(bundle).filter(({ use }) => use === 'jwt-svid').length,
    })
    assert.equal(broken?.ok, false)
    assert.match(other?.error ?? '', /no authorities/)
  })

  test('fetches our bundle by both profiles, and from nobody else', async () => {
    const url = `${exchange.urls.exchange.replace('127.0.0.1', 'localhost')}/bundle`
    const [web, webOfOthers, spiffe, ofOther] = await ask(
      { kind: 'https_web', url, roots: exchange.roots() },
      { kind: 'https_web', url, roots: makeRoot('mesh.example').pem },
      { kind: 'https_spiffe', url, bundle, endpointId: 'spiffe://mesh.example/exchange' },
      { kind: 'https_spiffe', url, bundle, endpointId: 'spiffe://mesh.example/other' },
    )
    const [read] = await ask({ kind: 'bundle', bundle })
    assert.deepEqual(web, read)
    assert.deepEqual(spiffe, read)
    assert.match(webOfOthers?.error ?? '', /certificate/)
    assert.match(ofOther?.error ?? '', /unexpected ID/)
  })
})

const keysOf = (bundle: string) => (JSON.parse(bundle) as { keys: readonly { use: string }[] }).keys

const rootKey = () => {
  const { der, key } = makeRoot(trustDomain)
  const jwk = createPublicKey(key).export({ format: 'jwk' })
  return { ...jwk, use: 'x509-svid', x5c: [der.toString('base64')] }
}
