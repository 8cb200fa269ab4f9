import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { decodeJwt } from 'jose'
import { tokenTypes } from '#contract/token-exchange'
import { alice, gateway, orders } from '../fixtures.ts'
import type { ClientCertificate } from '../running-exchange.ts'
import {
  basic,
  batchApi,
  mainframeSecret,
  startExchangeWithClients,
  type ExchangeWithClients,
} from '../clients/exchange-with-clients.ts'

let exchange: ExchangeWithClients
let gatewayCertificate: ClientCertificate
before(async () => {
  exchange = await startExchangeWithClients()
  gatewayCertificate = await exchange.join()
})
after(() => exchange.stop())

const headers = basic('mainframe', mainframeSecret)
const asMainframe = (path: string, form: Record<string, string>) =>
  exchange.post(path, form, { headers })
const asAgent = (path: string, form: Record<string, string>) =>
  exchange.post(path, { client_id: 'agent', ...form }, { client: exchange.agent })
const asGateway = (path: string, form: Record<string, string>) =>
  exchange.post(path, form, { client: gatewayCertificate })

const newToken = async (form: Record<string, string> = {}) => {
  const answer = await asMainframe('/token', await exchange.form(form))
  assert.equal(answer.status, 200, answer.body.toString())
  return String(answer.json()['access_token'])
}
const isActive = async (token: string) => (await asGateway('/introspect', { token })).json()

suite('introspection', () => {
  test('describes an access token to whom it was given to', async () => {
    const token = await newToken({ scope: 'orders.read' })
    const answer = await asMainframe('/introspect', { token, token_type_hint: 'access_token' })
    assert.equal(answer.status, 200)
    assert.equal(answer.headers['cache-control'], 'no-store')
    const { exp, iat, jti, iss } = decodeJwt(token)
    assert.deepEqual(answer.json(), {
      active: true,
      token_type: 'Bearer',
      iss,
      sub: alice,
      aud: orders,
      exp,
      iat,
      jti,
      scope: 'orders.read',
      client_id: 'mainframe',
    })
  })

  test('describes it to whom it is for, by an audience that this client receives, and to gateways', async () => {
    const token = await newToken({ audience: batchApi })
    assert.equal((await asAgent('/introspect', { token })).json()['active'], true)
    assert.equal((await isActive(token))['active'], true)
  })

  test('says the same to everybody else, of what has ended, of garbage and of another’s token', async () => {
    const foreign = await newToken()
    const outside = await exchange.subjectToken()
    const [head = '', payload = ''] = foreign.split('.')
    for (const token of [foreign, outside, 'garbage', `${head}.${payload}.AAAA`]) {
      const answer = await asAgent('/introspect', { token })
      assert.equal(answer.status, 200)
      assert.equal(answer.body.toString(), '{"active":false}', token)
    }
  })

  for (const [name, form, error] of [
    ['without a token', {}, 'invalid_request'],
    [
      'with two kinds of proof',
      { token: 'a', client_id: 'cron', client_secret: 'x' },
      'invalid_request',
    ],
    ['with a parameter that is not known', { token: 'a', resource_server: 'x' }, 'invalid_request'],
  ] as const)
    test(`is refused ${name}`, async () => {
      const answer = await asMainframe('/introspect', form)
      assert.equal(answer.status, 400)
      assert.equal(answer.json()['error'], error)
    })

  test('is refused to a stranger, though functions may ask for tokens without being clients', async () => {
    const answer = await exchange.post('/introspect', { token: await newToken() })
    assert.equal(answer.status, 401)
    assert.equal(answer.json()['error'], 'invalid_client')
  })
})

suite('revocation', () => {
  test('ends a token for introspection and for every exchange, at once', async () => {
    const token = await newToken({ audience: batchApi })
    assert.equal((await isActive(token))['active'], true)
    const answer = await asMainframe('/revoke', { token })
    assert.equal(answer.status, 200)
    assert.equal(answer.body.length, 0)
    assert.deepEqual(await isActive(token), { active: false })
    const again = await asAgent(
      '/token',
      await exchange.form({ subject_token: token, client_id: 'agent' }),
    )
    assert.equal(again.json()['error'], 'invalid_request')
    assert.equal(again.json()['problem'], 'token-revoked')
  })

  test('ends what came from it, and what came from that', async () => {
    const parent = await newToken({ audience: batchApi })
    const child = async (subject_token: string, audience: string) => {
      const answer = await asAgent(
        '/token',
        await exchange.form({ subject_token, audience, client_id: 'agent' }),
      )
      assert.equal(answer.status, 200, answer.body.toString())
      return String(answer.json()['access_token'])
    }
    const first = await child(parent, batchApi)
    const second = await child(first, orders)
    await asMainframe('/revoke', { token: parent })
    for (const token of [parent, first, second])
      assert.deepEqual(await isActive(token), { active: false })
  })

  test('of another’s token does nothing, and is answered the same', async () => {
    const token = await newToken()
    const answer = await asAgent('/revoke', { token })
    assert.equal(answer.status, 200)
    assert.equal((await isActive(token))['active'], true)
    assert.match(JSON.stringify(exchange.records), /not of this client: not revoked/)
  })

  test('of an unknown token is answered with 200: RFC 7009 §2.2', async () => {
    assert.equal((await asAgent('/revoke', { token: 'never-issued' })).status, 200)
  })

  test('is shown in the list of what was issued, where an operator can revoke too', async () => {
    const token = await newToken()
    const { jti } = decodeJwt(token)
    const revoke = (id: unknown) =>
      fetch(`${exchange.urls.admin}/issued/revoke`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ id }),
      })
    assert.equal((await revoke(jti)).status, 200)
    assert.deepEqual(await isActive(token), { active: false })
    for (const id of ['never-issued', '../x', 7]) assert.ok((await revoke(id)).status >= 400)
    const listed = (await (
      await fetch(`${exchange.urls.admin}/issued?subject=${alice}&kind=access-token`)
    ).json()) as { issued: { id: string; revoked: boolean; client: string; parent: string }[] }
    const one = listed.issued.find(({ id }) => id === jti)
    assert.equal(one?.revoked, true)
    assert.equal(one.client, 'mainframe')
    assert.equal(one.parent.length, 43)
    assert.doesNotMatch(JSON.stringify(listed), /eyJ[\w-]+\./, 'a token in the list')
  })
})

suite('a Txn-Token', () => {
  const wish = {
    requested_token_type: tokenTypes.txnToken,
    audience: 'mesh.example',
    scope: 'orders.read',
    client_id: 'agent',
  }
  /** Of a caller who has these scopes. */
  const scoped = async (more: Record<string, string> = {}) =>
    exchange.form({
      ...wish,
      subject_token: await exchange.subjectToken({ scope: 'orders.read orders.write' }),
      ...more,
    })

  test('is had by a workload that proves who it is, and says who asked, for what and in which context', async () => {
    const answer = await asAgent(
      '/token',
      await scoped({
        request_context: '{"ip":"192.0.2.7"}',
        request_details: '{"order":7}',
      }),
    )
    assert.equal(answer.status, 200, answer.body.toString())
    const { access_token, ...rest } = answer.json()
    assert.deepEqual(rest, {
      issued_token_type: tokenTypes.txnToken,
      token_type: 'N_A',
      expires_in: 60,
      scope: 'orders.read',
    })
    const claims = decodeJwt(String(access_token))
    assert.equal(claims.aud, 'mesh.example')
    assert.equal(claims.sub, alice)
    assert.equal(claims['req_wl'], 'spiffe://mesh.example/user/agent')
    assert.deepEqual(claims['tctx'], { order: 7 })
    assert.deepEqual(claims['rctx'], { ip: '192.0.2.7' })
    assert.equal(exchange.records.at(-1)?.minted?.txn, claims['txn'])
  })

  test('is replaced at a later hop with its transaction unchanged, and is no other token', async () => {
    const first = await asAgent('/token', await scoped())
    const subject_token = String(first.json()['access_token'])
    const typed = { subject_token, subject_token_type: tokenTypes.txnToken }
    const second = await asAgent('/token', await exchange.form({ ...wish, ...typed }))
    assert.equal(second.status, 200, second.body.toString())
    const [before, after] = [subject_token, String(second.json()['access_token'])].map(decodeJwt)
    assert.equal(after?.['txn'], before?.['txn'])
    assert.ok((after?.exp ?? Infinity) <= (before?.exp ?? 0))
    const asAccess = await asAgent('/token', await exchange.form({ ...typed, client_id: 'agent' }))
    assert.equal(asAccess.json()['problem'], 'token-type-refused')
    const wider = { ...wish, ...typed, scope: 'orders.read orders.write' }
    assert.equal(
      (await asAgent('/token', await exchange.form(wider))).json()['error'],
      'invalid_scope',
    )
  })

  test('is not had for a caller whose scopes are unknown, by whoever asks: unknown is not unconstrained', async () => {
    const byClient = await asAgent('/token', await exchange.form(wish))
    assert.equal(byClient.json()['error'], 'invalid_scope', byClient.body.toString())
    const { client_id: _, ...form } = await exchange.form(wish)
    const answer = await asGateway('/token', { ...form, client_id: gateway })
    assert.equal(answer.json()['error'], 'invalid_scope', answer.body.toString())
  })
})
