import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { decodeJwt } from 'jose'
import { exchangeIssuer } from '../running-exchange.ts'
import {
  agentId,
  assertionType,
  basic,
  cronSecret,
  mainframeSecret,
  typistSecret,
  startExchangeWithClients,
  type ExchangeWithClients,
} from './exchange-with-clients.ts'

let exchange: ExchangeWithClients
before(async () => {
  exchange = await startExchangeWithClients()
})
after(() => exchange.stop())

const byAssertion = (client_assertion: string) => ({
  client_assertion,
  client_assertion_type: assertionType,
})

suite('a client proves who it is', () => {
  test('by its certificate', async () => {
    const form = await exchange.form({ client_id: 'agent' })
    const answer = await exchange.post('/token', form, { client: exchange.agent })
    assert.equal(answer.status, 200, answer.body.toString())
    assert.equal(decodeJwt(String(answer.json()['access_token']))['client_id'], 'agent')
    const record = exchange.records.at(-1)
    assert.equal(record?.client, 'agent')
    assert.equal(record.grant, 'for-users')
    assert.equal(record.request?.clientSpiffeId, agentId)
  })

  test('by a signed assertion, alone or beside its client_id', async () => {
    for (const more of [{}, { client_id: 'batch' }]) {
      const form = await exchange.form({ ...byAssertion(await exchange.assertion()), ...more })
      const answer = await exchange.post('/token', form)
      assert.equal(answer.status, 200, answer.body.toString())
    }
    assert.equal(exchange.records.at(-1)?.client, 'batch')
  })

  for (const [client, secret, kept] of [
    ['mainframe', mainframeSecret, 'SHA-256'],
    ['typist', typistSecret, 'scrypt'],
  ] as const)
    test(`by a secret of which ${kept} is kept, in the header or in the form`, async () => {
      const form = await exchange.form()
      const headers = basic(client, secret)
      assert.equal((await exchange.post('/token', form, { headers })).status, 200)
      const inForm = { client_id: client, client_secret: secret }
      assert.equal((await exchange.post('/token', { ...form, ...inForm })).status, 200)
      assert.equal(exchange.records.at(-1)?.client, client)
      assert.ok(!JSON.stringify(exchange.records).includes(secret))
    })

  test('by a secret with every character that Basic encodes', async () => {
    const headers = basic('cron', cronSecret)
    const answer = await exchange.post('/token', await exchange.form(), { headers })
    // It is known: only its DPoP proof is missing.
    assert.equal(answer.json()['error'], 'invalid_dpop_proof')
    assert.equal(exchange.records.at(-1)?.client, 'cron')
  })
})

type Row = {
  readonly form?: () => Record<string, string> | Promise<Record<string, string>>
  readonly headers?: Record<string, string>
  readonly withCertificate?: true
  readonly error?: string
}
const otherKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const now = () => Math.floor(Date.now() / 1000)
const asserted =
  (
    claims: () => Record<string, unknown> = () => ({}),
    header: Record<string, unknown> = {},
    more: Record<string, string> = {},
  ) =>
  async () => ({ ...byAssertion(await exchange.assertion(claims(), header)), ...more })

const refused: Readonly<Record<string, Row>> = {
  'a certificate without a client_id': { withCertificate: true },
  'a certificate with the client_id of another': {
    withCertificate: true,
    form: () => ({ client_id: 'batch' }),
  },
  'the client_id of a client alone': { form: () => ({ client_id: 'agent' }) },
  'a wrong secret': { headers: basic('mainframe', `${mainframeSecret}.`) },
  'a wrong secret, scrypt': { headers: basic('typist', `${typistSecret}.`) },
  'an empty secret': { headers: basic('mainframe', '') },
  'the secret of another': { headers: basic('mainframe', cronSecret) },
  'the hash instead of the secret': { headers: basic('cron', '0'.repeat(64)) },
  'a secret for a client that has none': { headers: basic('agent', mainframeSecret) },
  'a secret of nobody': { headers: basic('__proto__', mainframeSecret) },
  'a header that is not Basic': { headers: { authorization: 'Bearer abc' } },
  'Basic without a colon': {
    headers: { authorization: `Basic ${Buffer.from('mainframe').toString('base64')}` },
  },
  'Basic with wrong percent-encoding': {
    headers: { authorization: `Basic ${Buffer.from('mainframe:%zz').toString('base64')}` },
  },
  'Basic beside the client_id of another': {
    headers: basic('mainframe', mainframeSecret),
    form: () => ({ client_id: 'cron' }),
  },
  'two secrets': {
    headers: basic('mainframe', mainframeSecret),
    form: () => ({ client_id: 'mainframe', client_secret: mainframeSecret }),
    error: 'invalid_request',
  },
  'a secret and an assertion': {
    headers: basic('mainframe', mainframeSecret),
    form: asserted(),
    error: 'invalid_request',
  },
  'a secret without client_id': {
    form: () => ({ client_secret: mainframeSecret }),
    error: 'invalid_request',
  },
  'an assertion of no type': {
    form: async () => ({ client_assertion: await exchange.assertion() }),
    error: 'invalid_request',
  },
  'an assertion type without one': {
    form: () => ({ client_assertion_type: assertionType }),
    error: 'invalid_request',
  },
  'an assertion of another type': {
    form: async () => ({
      client_assertion: await exchange.assertion(),
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer',
    }),
    error: 'invalid_request',
  },
  'an assertion that is for the token endpoint': {
    form: asserted(() => ({ aud: `${exchangeIssuer}/token` })),
  },
  'an assertion that is for us and another (audience injection)': {
    form: asserted(() => ({ aud: [exchangeIssuer, 'https://other.example'] })),
  },
  'an assertion for nobody': { form: asserted(() => ({ aud: undefined })) },
  'an assertion by another issuer': { form: asserted(() => ({ iss: 'agent' })) },
  'an assertion about another': { form: asserted(() => ({ sub: 'agent' })) },
  'an assertion beside the client_id of another': {
    form: asserted(undefined, {}, { client_id: 'mainframe' }),
  },
  'an assertion without jti': { form: asserted(() => ({ jti: undefined })) },
  'an assertion without exp': { form: asserted(() => ({ exp: undefined })) },
  'an assertion that has ended': { form: asserted(() => ({ iat: now() - 120, exp: now() - 60 })) },
  'an assertion that is good for an hour': { form: asserted(() => ({ exp: now() + 3600 })) },
  'an assertion by a key of no client': {
    form: async () => byAssertion(await exchange.assertion({}, {}, otherKey)),
  },
  'an assertion by a kid of no client': { form: asserted(undefined, { kid: 'b2' }) },
  'an access token as an assertion': { form: asserted(undefined, { typ: 'at+jwt' }) },
  'an assertion that brings its own key': {
    form: asserted(undefined, { jwk: { kty: 'oct', k: 'AAAA' } }),
  },
}

suite('nobody is a client by', () => {
  for (const [name, row] of Object.entries(refused))
    test(name, async () => {
      const form = await exchange.form((await row.form?.()) ?? {})
      const answer = await exchange.post('/token', form, {
        ...(row.headers ? { headers: row.headers } : {}),
        ...(row.withCertificate ? { client: exchange.agent } : {}),
      })
      assert.equal(answer.json()['error'], row.error ?? 'invalid_client', answer.body.toString())
      assert.equal(answer.status, row.error ? 400 : 401)
      assert.equal(exchange.records.at(-1)?.outcome, 'refused')
      if (!row.error) assert.match(String(answer.headers['www-authenticate']), /^Basic /)
    })

  test('an assertion that was used before', async () => {
    const form = await exchange.form(byAssertion(await exchange.assertion()))
    assert.equal((await exchange.post('/token', form)).status, 200)
    const again = await exchange.post('/token', form)
    assert.equal(again.status, 401)
    assert.equal(again.json()['problem'], 'token-replayed')
  })
})

test('what no grant allows is refused by what is missing', async () => {
  const headers = basic('mainframe', mainframeSecret)
  for (const [form, error] of [
    [{ audience: 'spiffe://mesh.example/service/other' }, 'invalid_target'],
    [{ scope: 'admin' }, 'invalid_scope'],
    [
      {
        requested_token_type: 'urn:ietf:params:oauth:token-type:txn_token',
        audience: 'mesh.example',
        scope: 'orders.read',
      },
      'unauthorized_client',
    ],
  ] as const) {
    const answer = await exchange.post('/token', await exchange.form(form), { headers })
    assert.equal(answer.json()['error'], error, answer.body.toString())
  }
})
