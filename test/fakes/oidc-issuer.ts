import { Provider, type Configuration, type JWK } from 'oidc-provider'
import { Agent, request } from 'undici'
import { webCertificate, runHttps, type RunningServer } from './https-server.ts'
import { newSigningKey, type SigningKey } from './token-maker.ts'

export type OidcIssuer = {
  readonly issuer: string
  /** PEM, to fetch from it. */
  readonly ca: string
  /** Who gets tokens by client credentials. */
  readonly client: { readonly id: string; readonly secret: string }
  /** A JWT access token, as a client gets it at the token endpoint. */
  readonly token: () => Promise<string>
  /** Signs with a new key from now on, and publishes the one before along with it. */
  readonly rotate: () => void
  /** Requests for its key set so far. */
  readonly keyFetches: () => number
  readonly close: () => Promise<void>
}

const client = { id: 'test', secret: 'a-secret-of-a-test-that-is-long-enough' }

/** A certified OpenID provider over TLS, with a client that gets tokens by client credentials. */
export const runOidcIssuer = async (audience: string): Promise<OidcIssuer> => {
  const { ca, server: certificate } = webCertificate()
  let keys: readonly SigningKey[] = [newSigningKey('first')]
  let handle: ReturnType<Provider['callback']> | undefined
  let keyFetches = 0
  let rotations = 0
  const server: RunningServer = await runHttps(certificate, (request, response) => {
    if (request.url === '/jwks') keyFetches++
    void handle?.(request, response)
  })
  const issuer = server.url
  const serve = () => {
    handle = new Provider(issuer, configuration(audience, keys)).callback()
  }
  quietly(serve)
  return {
    issuer,
    ca,
    client,
    token: async () => fetchToken(issuer, ca, audience),
    rotate: () => {
      keys = [newSigningKey(`rotated-${++rotations}`), ...keys.slice(0, 1)]
      quietly(serve)
    },
    keyFetches: () => keyFetches,
    close: server.close,
  }
}

const configuration = (audience: string, keys: readonly SigningKey[]): Configuration => ({
  clients: [
    {
      client_id: client.id,
      client_secret: client.secret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      id_token_signed_response_alg: 'ES256',
    },
  ],
  jwks: {
    keys: keys.map(({ kid, alg, privateKey }): JWK => ({
      ...privateKey.export({ format: 'jwk' }),
      kid,
      alg,
      use: 'sig',
    })),
  },
  ttl: { ClientCredentials: 600 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({
        scope: 'api',
        audience,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
})

const fetchToken = async (issuer: string, ca: string, audience: string): Promise<string> => {
  const agent = new Agent({ connect: { ca } })
  try {
    const { statusCode, body } = await request(`${issuer}/token`, {
      dispatcher: agent,
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}`,
      },
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        resource: audience,
      }).toString(),
    })
    const answer = (await body.json()) as { access_token?: string }
    if (statusCode !== 200 || answer.access_token === undefined)
      throw new Error(`no token: ${statusCode} ${JSON.stringify(answer)}`)
    return answer.access_token
  } finally {
    await agent.close()
  }
}

/** The provider reminds everybody that its defaults are for development. */
export const quietly = (work: () => void) => {
  const { info, warn } = console
  console.info = () => {}
  console.warn = () => {}
  try {
    work()
  } finally {
    console.info = info
    console.warn = warn
  }
}
