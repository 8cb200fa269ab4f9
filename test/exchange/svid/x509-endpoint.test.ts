import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { checkSvid } from '#identity/svid/check-svid'
import { requestSvid } from '#identity/svid/request-svid'
import { secret } from '#contract/secret'
import { alice, exchangeId, gateway, hourMs } from '../fixtures.ts'
import {
  askForSvid,
  newRequest,
  startTestExchange,
  svidIn,
  type Answer,
  type ClientCertificate,
  type TestExchange,
} from '../running-exchange.ts'

const lastRecord = ({ records }: TestExchange) => {
  const record = records.at(-1)
  assert.ok(record)
  return record
}
/** A join token of the admin listener. */
const newJoinToken = async (
  { urls }: TestExchange,
  spiffeId: string = gateway,
): Promise<string> => {
  const answer = await fetch(`${urls.admin}/join-tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ spiffeId }),
  })
  assert.equal(answer.status, 201, await answer.clone().text())
  return ((await answer.json()) as { token: string }).token
}
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const problemOf = (answer: Answer) => answer.headers['x-sallyport-problem']

suite('a certificate by join token', () => {
  let exchange: TestExchange
  before(async () => {
    exchange = await startTestExchange()
  })
  after(() => exchange.stop())

  test('is an SVID of the SPIFFE ID that the token is for, with the roots to trust', async () => {
    const { key, csr } = newRequest()
    const token = await exchange.joinToken()
    const answer = await askForSvid(exchange.ask, csr, bearer(token))
    assert.equal(answer.status, 200)
    assert.equal(answer.headers['cache-control'], 'no-store')
    const { spiffe_id, x509_svid, bundle, expires_at } = svidIn(answer)
    assert.equal(spiffe_id, gateway)
    assert.equal(bundle, exchange.roots())
    const svid = checkSvid({ certificateChain: x509_svid, privateKey: key, bundle }, Date.now())
    assert.ok(svid.ok, svid.ok ? '' : svid.fault)
    assert.equal(svid.value.spiffeId, gateway)
    assert.equal(svid.value.notAfterMs, expires_at * 1000)
    assert.equal(svid.value.notAfterMs - svid.value.notBeforeMs, hourMs)

    const record = lastRecord(exchange)
    assert.equal(record.outcome, 'answered')
    assert.equal(record.spiffeId, gateway)
    assert.equal(record.minted?.tokenType, 'x509-svid')
    assert.equal(record.minted.jti.toUpperCase(), new X509Certificate(x509_svid).serialNumber)
    assert.ok(!JSON.stringify(exchange.records).includes(token))
  })

  test('is to be had once: the second time the token is refused, and its file is gone', async () => {
    const token = await newJoinToken(exchange)
    assert.equal((await askForSvid(exchange.ask, newRequest().csr, bearer(token))).status, 200)
    const again = await askForSvid(exchange.ask, newRequest().csr, bearer(token))
    assert.equal(again.status, 401)
    assert.equal(problemOf(again), 'join-token-refused')
    assert.match(String(again.headers['www-authenticate']), /^Bearer/)
    await assert.rejects(access(join(exchange.folder, 'join-token')), { code: 'ENOENT' })
  })

  test('goes to one of ten who come at once with one token', async () => {
    const token = await newJoinToken(exchange)
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => askForSvid(exchange.ask, newRequest().csr, bearer(token))),
    )
    const statuses = answers.map(({ status }) => status)
    assert.equal(statuses.filter((status) => status === 200).length, 1)
    assert.equal(statuses.filter((status) => status === 401).length, 9)
  })

  test('is not to be had when the token is too old', async () => {
    const token = await newJoinToken(exchange)
    exchange.passTime(600_000)
    const answer = await askForSvid(exchange.ask, newRequest().csr, bearer(token))
    exchange.passTime(-600_000)
    assert.equal(answer.status, 401)
    assert.equal(problemOf(answer), 'join-token-refused')
  })

  test('a request that is not in order does not cost the token', async () => {
    const token = await newJoinToken(exchange)
    const refused = await askForSvid(exchange.ask, 'x', bearer(token))
    assert.equal(refused.status, 400)
    assert.equal(problemOf(refused), 'csr-refused')
    assert.equal(lastRecord(exchange).step, 'csr')
    assert.equal((await askForSvid(exchange.ask, newRequest().csr, bearer(token))).status, 200)
  })

  for (const [what, authorization] of [
    ['a made-up token', 'Bearer sallyport-join-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
    ['another scheme', 'Basic Z2F0ZXdheTp4'],
    ['an empty token', 'Bearer '],
    ['a token of a kilobyte', `Bearer ${'x'.repeat(1024)}`],
  ] as const)
    test(`is not to be had by ${what}`, async () => {
      const answer = await askForSvid(exchange.ask, newRequest().csr, { authorization })
      assert.equal(answer.status, 401)
      assert.equal(problemOf(answer), 'join-token-refused')
    })

  test('is not to be had by nobody', async () => {
    const answer = await askForSvid(exchange.ask, newRequest().csr)
    assert.equal(answer.status, 401)
    assert.equal(problemOf(answer), 'client-unauthenticated')
    assert.equal(lastRecord(exchange).step, 'applicant')
    assert.equal(answer.json()['decisionId'], lastRecord(exchange).decisionId)
  })

  for (const [what, headers, body, status] of [
    ['a megabyte', { 'content-type': 'application/pkcs10' }, Buffer.alloc(1024 * 1024), 413],
    ['9 kB', { 'content-type': 'application/pkcs10' }, Buffer.alloc(9000), 413],
    ['a request of another type', { 'content-type': 'application/json' }, Buffer.from('{}'), 415],
    ['a coded body', { 'content-encoding': 'gzip' }, newRequest().csr, 415],
    ['a request with another credential', { 'x-api-key': 'x' }, newRequest().csr, 400],
  ] as const)
    test(`${what} is answered ${status}, and the token is still good`, async () => {
      const token = await newJoinToken(exchange)
      const answer = await askForSvid(exchange.ask, body, { ...headers, ...bearer(token) })
      assert.equal(answer.status, status)
      assert.equal((await askForSvid(exchange.ask, newRequest().csr, bearer(token))).status, 200)
    })

  test('is not issued while no record could be left', async () => {
    const token = await newJoinToken(exchange)
    exchange.setAuditReady(false)
    const answer = await askForSvid(exchange.ask, newRequest().csr, bearer(token))
    exchange.setAuditReady(true)
    assert.equal(answer.status, 503)
    assert.equal(problemOf(answer), 'audit-unavailable')
    assert.equal((await askForSvid(exchange.ask, newRequest().csr, bearer(token))).status, 200)
  })

  test('is what the gateway’s own code gets, and renews', async () => {
    const at = { url: exchange.urls.exchange, spiffeId: exchangeId, timeoutMs: 5000 }
    const proof = {
      kind: 'join-token',
      token: secret(await newJoinToken(exchange)),
      roots: exchange.roots(),
    } as const
    const first = await requestSvid(at, gateway, proof, Date.now())
    assert.ok(first.ok, first.ok ? '' : first.fault)
    const second = await requestSvid(at, gateway, { kind: 'svid', svid: first.value }, Date.now())
    assert.ok(second.ok, second.ok ? '' : second.fault)
    assert.notEqual(second.value.privateKey.reveal(), first.value.privateKey.reveal())
  })
})

suite('a certificate by the last one', () => {
  let exchange: TestExchange
  let client: ClientCertificate
  before(async () => {
    exchange = await startTestExchange()
    client = await exchange.join()
  })
  after(() => exchange.stop())

  test('is for the same SPIFFE ID and another key', async () => {
    const { key, csr } = newRequest()
    const answer = await askForSvid(exchange.ask, csr, {}, client)
    assert.equal(answer.status, 200)
    const { spiffe_id, x509_svid, bundle } = svidIn(answer)
    assert.equal(spiffe_id, gateway)
    assert.ok(checkSvid({ certificateChain: x509_svid, privateKey: key, bundle }, Date.now()).ok)
    assert.equal(lastRecord(exchange).client, gateway)
    const next = { cert: x509_svid, key }
    assert.equal((await askForSvid(exchange.ask, newRequest().csr, {}, next)).status, 200)
  })

  test('is not to be had once the certificate has expired, though the connection is open', async () => {
    exchange.passTime(hourMs)
    const answer = await askForSvid(exchange.ask, newRequest().csr, {}, client)
    exchange.passTime(-hourMs)
    assert.equal(answer.status, 401)
    assert.equal(problemOf(answer), 'client-unauthenticated')
    assert.match(lastRecord(exchange).cause ?? '', /has expired/)
  })

  test('with a join token besides, the token decides whose it is', async () => {
    const answer = await askForSvid(exchange.ask, newRequest().csr, bearer('x'.repeat(40)), client)
    assert.equal(answer.status, 401)
    assert.equal(problemOf(answer), 'join-token-refused')
  })

  test('is nobody’s but a holder’s of this CA', async () => {
    const other = await startTestExchange()
    const foreign = await other.join()
    await other.stop()
    const answer = await askForSvid(exchange.ask, newRequest().csr, {}, foreign)
    assert.equal(answer.status, 401)
  })

  test('is not renewed for one whom the configuration names no more', async () => {
    const ca = { store: { directory: join(exchange.folder, 'shared-ca') } }
    const other = 'spiffe://mesh.example/other-gateway'
    const before = await startTestExchange({ ca })
    const holder = await before.join()
    await before.stop()
    const after = await startTestExchange({ ca, gateways: [other], joinTokens: [] })
    const answer = await askForSvid(after.ask, newRequest().csr, {}, holder)
    assert.equal(answer.status, 403)
    assert.equal(problemOf(answer), 'client-not-allowed')
    await after.stop()
  })

  test('a join token is issued for those alone whom the configuration names', async () => {
    const answer = await fetch(`${exchange.urls.admin}/join-tokens`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ spiffeId: alice }),
    })
    assert.equal(answer.status, 403)
  })
})
