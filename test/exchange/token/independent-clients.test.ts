import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { decodeJwt } from 'jose'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { Agent, buildConnector, fetch as undiciFetch, type RequestInit } from 'undici'
import { tokenExchangeGrant, tokenTypes } from '#contract/token-exchange'
import { alice, orders } from '../fixtures.ts'
import { exchangeIssuer } from '../running-exchange.ts'
import {
  batchApi,
  cronSecret,
  mainframeSecret,
  startExchangeWithClients,
  type ExchangeWithClients,
} from '../clients/exchange-with-clients.ts'

let exchange: ExchangeWithClients
let plain: Agent
let withCertificate: Agent
before(async () => {
  exchange = await startExchangeWithClients()
  plain = agentTo(exchange)
  withCertificate = agentTo(exchange, exchange.agent)
})
after(async () => {
  await Promise.all([plain.close(), withCertificate.close()])
  await exchange.stop()
})

/** The exchange is known by its public name, and its port is a free one of this machine. */
const agentTo = ({ exchange: { port }, roots }: ExchangeWithClients, client: object = {}) => {
  const connect = buildConnector({ ca: roots(), ...client })
  return new Agent({
    connect: (options, callback) =>
      connect(
        { ...options, hostname: '127.0.0.1', port: String(port), servername: 'localhost' },
        callback,
      ),
  })
}
const fetchOver =
  (dispatcher: () => Agent) =>
  (url: string, init: object): Promise<Response> =>
    undiciFetch(url, {
      ...(init as RequestInit),
      dispatcher: dispatcher(),
    })
const over = { [oauth.customFetch]: fetchOver(() => plain) }
const overCertificate = { [oauth.customFetch]: fetchOver(() => withCertificate) }

const parameters = async (more: Record<string, string> = {}) =>
  new URLSearchParams({
    subject_token: await exchange.subjectToken(),
    subject_token_type: tokenTypes.jwt,
    requested_token_type: tokenTypes.accessToken,
    audience: orders,
    ...more,
  })

const discover = async () => {
  const url = new URL(exchangeIssuer)
  const answer = await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...over })
  return oauth.processDiscoveryResponse(url, answer)
}

const importedBatchKey = async () => ({
  key: await crypto.subtle.importKey(
    'pkcs8',
    exchange.batchKey.export({ type: 'pkcs8', format: 'der' }),
    { name: 'ECDSA', namedCurve: 'P-256' },
    false,
    ['sign'],
  ),
  kid: 'b1',
})

suite('oauth4webapi', () => {
  test('discovers the exchange by either document', async () => {
    const server = await discover()
    assert.equal(server.token_endpoint, `${exchangeIssuer}/token`)
    const url = new URL(exchangeIssuer)
    const answer = await oauth.discoveryRequest(url, { algorithm: 'oidc', ...over })
    assert.equal((await oauth.processDiscoveryResponse(url, answer)).issuer, exchangeIssuer)
  })

  for (const [name, client, authentication, options] of [
    [
      'client_secret_basic',
      'mainframe',
      () => oauth.ClientSecretBasic(mainframeSecret),
      () => over,
    ],
    ['client_secret_post', 'mainframe', () => oauth.ClientSecretPost(mainframeSecret), () => over],
    [
      'private_key_jwt',
      'batch',
      async () => oauth.PrivateKeyJwt(await importedBatchKey()),
      () => over,
    ],
    ['tls_client_auth', 'agent', () => oauth.TlsClientAuth(), () => overCertificate],
  ] as const)
    test(`exchanges, introspects and revokes as a client by ${name}`, async () => {
      const server = await discover()
      const as = { client_id: client }
      const proof = await authentication()
      const exchanged = await oauth.genericTokenEndpointRequest(
        server,
        as,
        proof,
        tokenExchangeGrant,
        await parameters({ scope: 'orders.read' }),
        options(),
      )
      const token = await oauth.processGenericTokenEndpointResponse(server, as, exchanged)
      assert.equal(token['issued_token_type'], tokenTypes.accessToken)
      assert.equal(token.token_type, 'bearer')
      const ask = async () =>
        oauth.processIntrospectionResponse(
          server,
          as,
          await oauth.introspectionRequest(server, as, proof, token.access_token, options()),
        )
      const known = await ask()
      assert.equal(known.active, true)
      assert.equal(known.sub, alice)
      assert.equal(known.scope, 'orders.read')
      const revoked = await oauth.revocationRequest(
        server,
        as,
        proof,
        token.access_token,
        options(),
      )
      await oauth.processRevocationResponse(revoked)
      assert.equal((await ask()).active, false)
    })

  test('gets a DPoP-bound access token, which its own check of access tokens takes', async () => {
    const server = await discover()
    const as: oauth.Client = { client_id: 'cron' }
    const keys = await oauth.generateKeyPair('ES256')
    const DPoP = oauth.DPoP(as, keys)
    const answer = await oauth.genericTokenEndpointRequest(
      server,
      as,
      oauth.ClientSecretBasic(cronSecret),
      tokenExchangeGrant,
      await parameters({ audience: batchApi }),
      { DPoP, ...over },
    )
    const token = await oauth.processGenericTokenEndpointResponse(server, as, answer)
    assert.equal(token.token_type, 'dpop')
    assert.equal((decodeJwt(token.access_token)['cnf'] as { jkt: string }).jkt.length, 43)

    let shown: Request | undefined
    await oauth.protectedResourceRequest(
      token.access_token,
      'GET',
      new URL('https://batch.example.com/jobs'),
      undefined,
      undefined,
      {
        DPoP,
        [oauth.customFetch]: async (url, { headers }) => {
          shown = new Request(url, { headers })
          return new Response()
        },
      },
    )
    assert.ok(shown)
    const claims = await oauth.validateJwtAccessToken(server, shown, batchApi, over)
    assert.equal(claims.sub, alice)
    assert.equal(claims.client_id, 'cron')
  })

  test('reads a refusal as one of OAuth', async () => {
    const server = await discover()
    const as = { client_id: 'mainframe' }
    const answer = await oauth.genericTokenEndpointRequest(
      server,
      as,
      oauth.ClientSecretBasic('wrong'),
      tokenExchangeGrant,
      await parameters(),
      over,
    )
    await assert.rejects(
      oauth.processGenericTokenEndpointResponse(server, as, answer),
      (error: unknown) =>
        error instanceof oauth.WWWAuthenticateChallengeError ||
        (error instanceof oauth.ResponseBodyError && error.error === 'invalid_client'),
    )
  })
})

suite('openid-client', () => {
  const connect = (client: string, authentication: openid.ClientAuth) =>
    openid.discovery(new URL(exchangeIssuer), client, undefined, authentication, {
      [openid.customFetch]: fetchOver(() => plain),
    })

  test('exchanges, introspects and revokes', async () => {
    const config = await connect('mainframe', openid.ClientSecretBasic(mainframeSecret))
    config[openid.customFetch] = fetchOver(() => plain)
    const token = await openid.genericGrantRequest(
      config,
      tokenExchangeGrant,
      await parameters({ scope: 'orders.read' }),
    )
    assert.equal(token.scope, 'orders.read')
    assert.equal((await openid.tokenIntrospection(config, token.access_token)).active, true)
    await openid.tokenRevocation(config, token.access_token)
    assert.equal((await openid.tokenIntrospection(config, token.access_token)).active, false)
  })

  test('by a signed assertion and with DPoP', async () => {
    const config = await connect('batch', openid.PrivateKeyJwt(await importedBatchKey()))
    config[openid.customFetch] = fetchOver(() => plain)
    const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair())
    const token = await openid.genericGrantRequest(config, tokenExchangeGrant, await parameters(), {
      DPoP,
    })
    assert.equal(token.token_type, 'dpop')
  })
})
