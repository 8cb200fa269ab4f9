// What a gateway gets that looks into TLS, judged by OpenSSL and Node, and who gets nothing.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { publicKeyOfCsr } from '#exchange/ca/csr'
import { issueInspectionLeaf } from '#exchange/inspection/issue-leaf'
import { readCertificate } from '#identity/svid/certificate'
import type { InspectionLeafAnswer } from '#contract/token-exchange'
import { randomBytes } from 'node:crypto'
import { dayMs, fakeClock, gateway, openTestAuthority } from '../fixtures.ts'
import {
  askForSvid,
  newRequest,
  startTestExchange,
  svidIn,
  type Answer,
  type ClientCertificate,
  type TestExchange,
} from '../running-exchange.ts'

const worker = 'spiffe://mesh.example/ns/shop/sa/worker'
const hosts = ['api.test', '*.wild.test', 'ec2.*.cloud.test']
const exchange = await startTestExchange({
  inspection: { hosts },
  joinTokens: [
    { spiffeId: gateway, file: 'join-token', lifetimeSeconds: 600 },
    { spiffeId: worker, file: 'worker-token', lifetimeSeconds: 600 },
  ],
})
const folder = await mkdtemp(join(tmpdir(), 'sallyport-exchange-'))
after(async () => {
  await exchange.stop()
  await rm(folder, { recursive: true })
})
const asGateway = await exchange.join()

const askFor = (
  { ask }: TestExchange,
  host: string,
  csr: string | Buffer = newRequest().csr,
  client: ClientCertificate | undefined = asGateway,
): Promise<Answer> =>
  ask({
    method: 'POST',
    path: `/inspection/certificate?${host}`,
    headers: { 'content-type': 'application/pkcs10' },
    body: csr,
    ...(client ? { client } : {}),
  })
const problemOf = (answer: Answer) => answer.headers['x-sallyport-problem']
const caPem = async () => (await exchange.ask({ path: '/inspection/ca.pem' })).body.toString()

const openssl = async (ca: string, leaf: string, host: string): Promise<string> => {
  await writeFile(join(folder, 'ca.pem'), ca)
  await writeFile(join(folder, 'leaf.pem'), leaf)
  try {
    return execFileSync(
      'openssl',
      ['verify', '-purpose', 'sslserver', '-verify_hostname', host].concat([
        '-CAfile',
        join(folder, 'ca.pem'),
        join(folder, 'leaf.pem'),
      ]),
      { stdio: 'pipe' },
    ).toString()
  } catch (error) {
    return String((error as { stderr: Buffer }).stderr)
  }
}

suite('a certificate for an inspected host', () => {
  test('is for that host, a day at most, a server only, and leads to the CA that is published', async () => {
    const { csr } = newRequest()
    const answer = await askFor(exchange, 'host=api.test', csr)
    assert.equal(answer.status, 200, answer.body.toString())
    assert.equal(answer.headers['cache-control'], 'no-store')
    const { certificate, expires_at } = answer.json() as InspectionLeafAnswer
    assert.match(await openssl(await caPem(), certificate, 'api.test'), /OK/)
    const leaf = new X509Certificate(certificate)
    assert.equal(leaf.subjectAltName, 'DNS:api.test')
    assert.equal(leaf.subject, undefined)
    assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1'])
    assert.equal(leaf.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1')
    const key = publicKeyOfCsr(Buffer.from(csr))
    assert.ok(key.ok && leaf.publicKey.equals(key.value.key))
    assert.ok(leaf.validToDate.getTime() - leaf.validFromDate.getTime() <= dayMs)
    assert.equal(leaf.validToDate.getTime(), expires_at * 1000)
  })
  test('leaves a record and stands in the list of what was issued', async () => {
    const { certificate } = (await askFor(exchange, 'host=api.test')).json() as InspectionLeafAnswer
    const record = exchange.records.at(-1)
    assert.equal(record?.outcome, 'answered')
    assert.equal(record.client, gateway)
    const { tokenType, audience, subject, jti } = record.minted ?? {}
    assert.deepEqual([tokenType, audience, subject], ['inspection-leaf', 'api.test', gateway])
    assert.equal(jti?.toUpperCase(), new X509Certificate(certificate).serialNumber)
    const listed = await fetch(`${exchange.urls.admin}/issued?kind=inspection-leaf`)
    const { issued } = (await listed.json()) as { issued: { id: string; audience: string }[] }
    assert.ok(issued.some(({ id, audience: host }) => id === jti && host === 'api.test'))
  })
  for (const host of ['a.wild.test', 'ec2.eu-1.cloud.test'])
    test(`is to be had for ${host}, by a pattern`, async () => {
      const answer = await askFor(exchange, `host=${host}`)
      assert.equal(answer.status, 200)
      const { certificate } = answer.json() as InspectionLeafAnswer
      assert.match(await openssl(await caPem(), certificate, host), /OK/)
    })
  for (const query of [
    'host=other.test',
    'host=wild.test',
    'host=a.b.wild.test',
    'host=xapi.test',
    'host=api.test.evil.example',
    'host=API.test',
    'host=api.test.',
    'host=*.wild.test',
    'host=127.0.0.1',
    'host=api.test%00.evil.example',
    'host=api.test&host=other.test',
    'host=',
    '',
  ])
    test(`is refused for ?${query}`, async () => {
      const answer = await askFor(exchange, query)
      assert.equal(answer.status, 403)
      assert.equal(problemOf(answer), 'inspection-refused')
      assert.equal(exchange.records.at(-1)?.problem, 'inspection-refused')
    })
  for (const query of ['other=api.test', 'host=api.test&other=x'])
    test(`is refused for ?${query}, which nobody would read`, async () => {
      const answer = await askFor(exchange, query)
      assert.deepEqual([answer.status, problemOf(answer)], [400, 'request-malformed'])
    })
  test('is for a key that the asker proves to have, and names nothing by itself', async () => {
    for (const csr of [
      Buffer.alloc(0),
      Buffer.from('x'),
      Buffer.from(newRequest().csr).fill(65, 60, 62),
    ])
      assert.equal(problemOf(await askFor(exchange, 'host=api.test', csr)), 'csr-refused')
  })
})

suite('who may have one', () => {
  test('nobody without a certificate, and no workload with one', async () => {
    const nobody = await exchange.ask({
      method: 'POST',
      path: '/inspection/certificate?host=api.test',
      headers: { 'content-type': 'application/pkcs10' },
      body: newRequest().csr,
    })
    assert.deepEqual([nobody.status, problemOf(nobody)], [401, 'client-unauthenticated'])
    const order = await fetch(`${exchange.urls.admin}/join-tokens`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ spiffeId: worker }),
    })
    const { token } = (await order.json()) as { token: string }
    const { key, csr } = newRequest()
    const joined = await askForSvid(exchange.ask, csr, { authorization: `Bearer ${token}` })
    const asWorker = { cert: svidIn(joined).x509_svid, key }
    const refused = await askFor(exchange, 'host=api.test', undefined, asWorker)
    assert.deepEqual([refused.status, problemOf(refused)], [403, 'client-not-allowed'])
  })
  test('it proves nothing to the mesh: neither does the exchange take it as a client', async () => {
    const { key, csr } = newRequest()
    const { certificate } = (
      await askFor(exchange, 'host=api.test', csr)
    ).json() as InspectionLeafAnswer
    const answer = await askForSvid(exchange.ask, newRequest().csr, {}, { cert: certificate, key })
    assert.equal(answer.status, 401)
    assert.ok(!exchange.roots().includes((await caPem()).split('\n')[1] ?? ''))
  })
  test('where nothing is inspected there is neither', async () => {
    const plain = await startTestExchange()
    const asItsGateway = await plain.join()
    assert.equal((await askFor(plain, 'host=api.test', undefined, asItsGateway)).status, 404)
    assert.equal((await plain.ask({ path: '/inspection/ca.pem' })).status, 404)
    await plain.stop()
  })
})

suite('the constraints of the CA, as OpenSSL reads them', () => {
  test('whatever its key signs beyond them is worthless', async () => {
    const { clock } = fakeClock(Date.now())
    const inspection = { hosts, caMs: 30 * dayMs, leafMs: dayMs }
    const { keys, inspectionPem } = (await openTestAuthority(clock, { inspection })).current()
    const ca = keys.inspectionCas?.active
    assert.ok(ca)
    const key = publicKeyOfCsr(Buffer.from(newRequest().csr))
    assert.ok(key.ok)
    const made = (host: string) =>
      issueInspectionLeaf(
        { host, publicKey: key.value, lifetimeMs: dayMs },
        ca,
        clock(),
        randomBytes,
      )
    for (const [host, isGood] of [
      ['api.test', true],
      ['x.wild.test', true],
      ['evil.example', false],
      ['notapi.test', false],
      ['test', false],
    ] as const) {
      const said = await openssl(inspectionPem, made(host).certificatePem, host)
      assert.match(said, isGood ? /OK/ : /permitted subtree violation/, host)
    }
  })
  test('it signs servers only, no CA below it, and no address', async () => {
    const pem = await caPem()
    await writeFile(join(folder, 'ca.pem'), pem)
    const text = execFileSync('openssl', ['x509', '-noout', '-text', '-in', join(folder, 'ca.pem')])
    const shown = text.toString()
    assert.match(shown, /Name Constraints: critical/)
    assert.match(shown, /DNS:api\.test\s+DNS:wild\.test\s+DNS:cloud\.test/)
    assert.match(shown, /Excluded:\s+IP:0\.0\.0\.0\/0\.0\.0\.0/)
    assert.match(shown, /CA:TRUE, pathlen:0/)
    assert.match(shown, /TLS Web Server Authentication\n/)
    const facts = readCertificate(new X509Certificate(pem).raw)
    assert.ok(facts.ok && facts.value.isCa && facts.value.uris.length === 0)
  })
})
