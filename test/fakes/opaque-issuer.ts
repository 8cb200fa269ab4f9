import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { Provider, type Configuration } from 'oidc-provider'
import { Agent, request } from 'undici'
import { webCertificate, runHttps } from './https-server.ts'
import { makeCertificate } from './openssl.ts'
import { newSigningKey } from './token-maker.ts'
import { quietly } from './oidc-issuer.ts'

export const scopeOfOpaque = 'api'

/** Ways by which a gateway may prove who it is there; each is a client of its own. */
export const opaqueClients = {
  secret: { clientId: 'gateway-basic', secret: 'a-secret:of+the gateway%' },
  assertion: { clientId: 'gateway-jwt', key: newSigningKey('gateway-key') },
  certificate: {
    clientId: 'gateway-mtls',
    made: makeCertificate({
      subject: '/CN=gateway',
      extensions: ['subjectAltName = DNS:gateway.test'],
    }),
  },
} as const

const appSecret = 'a-secret-of-an-app-that-is-long-enough'

/** A certified OpenID provider over TLS that gives opaque tokens and tells of them by introspection (RFC 7662). */
export const runOpaqueIssuer = async (audience: string) => {
  const { ca, server: certificate } = webCertificate()
  let handle: ReturnType<Provider['callback']> | undefined
  let introspections = 0
  let broken: number | undefined
  const server = await runHttps(certificate, (req, res) => {
    if (req.url?.startsWith('/token/introspection')) {
      introspections++
      if (broken !== undefined) {
        res.writeHead(broken).end()
        return
      }
    }
    void handle?.(req, res)
  })
  const issuer = server.url
  quietly(() => {
    handle = new Provider(issuer, configuration(audience)).callback()
  })
  const agent = new Agent({ connect: { ca } })
  const post = async (
    path: string,
    form: Record<string, string>,
    { headers = {}, via = agent, id = 'app' } = {},
  ) => {
    const { statusCode, body } = await request(`${issuer}${path}`, {
      dispatcher: via,
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${Buffer.from(`${id}:${appSecret}`).toString('base64')}`,
        ...headers,
      },
      body: new URLSearchParams(form).toString(),
    })
    const text = await body.text()
    if (statusCode !== 200) throw new Error(`${path}: ${statusCode} ${text}`)
    return text === '' ? {} : (JSON.parse(text) as Record<string, string>)
  }
  return {
    issuer,
    ca,
    endpoint: `${issuer}/token/introspection`,
    /** An opaque access token of the client `app`; bound to the key of a proof or to a certificate, if one is given. */
    token: async ({
      dpop,
      client,
    }: { dpop?: string; client?: { cert: string; key: string } } = {}) => {
      const via = client ? new Agent({ connect: { ca, ...client } }) : agent
      const form = { grant_type: 'client_credentials', resource: audience, scope: scopeOfOpaque }
      const { access_token: token = '' } = await post('/token', form, {
        headers: dpop ? { dpop } : {},
        via,
        id: client ? 'bound' : 'app',
      })
      if (client) await via.close()
      return token
    },
    revoke: async (token: string) => void (await post('/token/revocation', { token })),
    introspections: () => introspections,
    /** Answers questions about tokens with this status from now on; undefined: as it should. */
    breakWith: (status: number | undefined) => {
      broken = status
    },
    close: async () => {
      await agent.close()
      await server.close()
    },
  }
}

const resourceServer = {
  grant_types: [],
  redirect_uris: [],
  response_types: [],
  id_token_signed_response_alg: 'ES256',
} as const

const configuration = (audience: string): Configuration => {
  const signing = newSigningKey('provider')
  const { secret, assertion, certificate } = opaqueClients
  const jwkOfCertificate = {
    ...certificate.made.key.export({ format: 'jwk' }),
    d: undefined,
    kid: 'certificate',
    x5c: [certificate.made.der.toString('base64')],
  }
  return {
    clients: [
      {
        ...resourceServer,
        client_id: 'app',
        client_secret: appSecret,
        grant_types: ['client_credentials'],
      },
      {
        ...resourceServer,
        client_id: 'bound',
        client_secret: appSecret,
        grant_types: ['client_credentials'],
        tls_client_certificate_bound_access_tokens: true,
      },
      { ...resourceServer, client_id: secret.clientId, client_secret: secret.secret },
      {
        ...resourceServer,
        client_id: assertion.clientId,
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        jwks: { keys: [assertion.key.jwk] },
      },
      {
        ...resourceServer,
        client_id: certificate.clientId,
        token_endpoint_auth_method: 'self_signed_tls_client_auth',
        jwks: { keys: [jwkOfCertificate] },
      },
    ] as never,
    clientAuthMethods: ['client_secret_basic', 'private_key_jwt', 'self_signed_tls_client_auth'],
    jwks: {
      keys: [
        {
          ...signing.privateKey.export({ format: 'jwk' }),
          kid: signing.kid,
          alg: signing.alg,
          use: 'sig',
        },
      ] as never,
    },
    ttl: { ClientCredentials: 600 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
      dPoP: { enabled: true },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        selfSignedTlsClientAuth: true,
        getCertificate: ({ req }: { req: IncomingMessage }) =>
          (req.socket as TLSSocket).getPeerX509Certificate(),
      },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: scopeOfOpaque,
          audience,
          accessTokenFormat: 'opaque',
        }),
      },
    },
  }
}
