import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:https'
import { once } from 'node:events'
import { importJWK, SignJWT, type JWK, type JWTPayload } from 'jose'
import { Provider, type Configuration } from 'oidc-provider'
import type { Credentials } from './credentials.ts'
import { issuerStore } from './issuer-store.ts'
import { personas, type Persona } from './personas.ts'

/** A real OpenID provider with a few clients, each of which gets tokens in its own name. */
export type DemoIssuer = {
  readonly url: string
  /** Asks the token endpoint, as a client would. */
  readonly tokenFor: (persona: Persona, audience?: string) => Promise<string>
  /** Signs what the provider itself never would, with its own key: an expired token, say. */
  readonly sign: (claims: JWTPayload, header?: Record<string, unknown>) => Promise<string>
  /** A command that does the same and prints the token. */
  readonly howToGetOne: (persona: Persona) => string
  /** From now on a new key signs; the old one stays published, as providers do it. */
  readonly rotateKeys: () => void
  readonly close: () => Promise<void>
}

const lifetimeSeconds = 600

/**
 * Starts the provider over TLS.
 *
 * @param fetch Goes to it; must trust its certificate.
 */
export const startIssuer = async (options: {
  readonly port: number
  readonly audience: string
  readonly tls: Credentials
  /** PEM file that its callers trust. */
  readonly rootFile: string
  readonly fetch: (
    url: string,
    init: { method: string; headers: Record<string, string>; body: string },
  ) => Promise<{ readonly json: () => Promise<unknown> }>
}): Promise<DemoIssuer> => {
  const url = `https://localhost:${options.port}`
  let keys = [newSigningKey()]
  let answer = providerWith(url, keys, options.audience).callback()
  const server = createServer(
    { cert: options.tls.certificate, key: options.tls.privateKey },
    (req, res) => void answer(req, res),
  )
  await once(server.listen(options.port, '127.0.0.1'), 'listening')

  const tokenFor = async (persona: Persona, audience = options.audience) => {
    const answered = await options.fetch(`${url}/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        client_id: persona,
        client_secret: secretOf(persona),
        resource: audience,
      }).toString(),
    })
    const body = (await answered.json()) as { access_token?: string; error?: string }
    if (body.access_token === undefined)
      throw new Error(`the demo's issuer gave no token: ${body.error}`)
    return body.access_token
  }

  const sign = async (claims: JWTPayload, header: Record<string, unknown> = {}) => {
    const [key] = keys as [JWK]
    return new SignJWT({ iss: url, ...claims })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: key.kid as string, ...header })
      .sign(await importJWK(key, 'ES256'))
  }

  const howToGetOne = (persona: Persona) =>
    [
      `curl -s --cacert ${options.rootFile} ${url}/token`,
      `-d grant_type=client_credentials -d client_id=${persona}`,
      `-d client_secret=${secretOf(persona)} -d resource=${options.audience}`,
      `| sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/'`,
    ].join(' ')

  return {
    url,
    tokenFor,
    sign,
    howToGetOne,
    rotateKeys: () => {
      keys = [newSigningKey(), ...keys.slice(0, 1)]
      answer = providerWith(url, keys, options.audience).callback()
    },
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Nothing hangs on it: the provider serves this machine for as long as the demo runs. */
const secretOf = (persona: Persona) => `${persona}-demo-secret-that-protects-nothing`

let count = 0
const newSigningKey = (): JWK => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  count += 1
  return {
    ...privateKey.export({ format: 'jwk' }),
    kid: `demo-${count}`,
    use: 'sig',
    alg: 'ES256',
  }
}

const providerWith = (url: string, keys: readonly JWK[], audience: string) => {
  const configuration: Configuration = {
    adapter: issuerStore,
    ttl: { ClientCredentials: lifetimeSeconds },
    jwks: { keys: [...keys] },
    clients: Object.keys(personas).map((persona) => ({
      client_id: persona,
      client_secret: secretOf(persona as Persona),
      id_token_signed_response_alg: 'ES256',
      token_endpoint_auth_method: 'client_secret_post',
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
    })),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context, resource) => ({
          scope: '',
          audience: resource,
          accessTokenTTL: lifetimeSeconds,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    extraTokenClaims: (_context, token) => {
      const client = 'clientId' in token ? (token.clientId as Persona) : undefined
      return client ? { ...personas[client] } : undefined
    },
  }
  const provider = new Provider(url, configuration)
  provider.on('server_error', (_context, error) => console.error('demo issuer:', error.message))
  return provider
}
