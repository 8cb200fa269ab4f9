import type { Issuer } from '#config/schema'
import { makeWebCertificate, runHttps } from './https-server.ts'
import { platformClaims } from './platform-claims.ts'
import { newSigningKey, signToken, type SigningKey } from './token-maker.ts'

export type PlatformIssuer = {
  readonly platform: Issuer['platform']
  /** Its `iss`, and where it publishes its keys. */
  readonly url: string
  /** PEM, to fetch from it. */
  readonly ca: string
  readonly key: SigningKey
  /** A token as the platform makes them, with claims changed. */
  readonly token: (claims?: Readonly<Record<string, unknown>>) => string
  readonly close: () => Promise<void>
}

/** As the platforms do: Kubernetes writes no `typ`, AWS signs with ES384 if asked to. */
const algorithmOf: Partial<Record<Issuer['platform'], string>> = {
  kubernetes: 'RS256',
  aws: 'ES384',
}
const typeOf = (platform: Issuer['platform']) =>
  platform === 'kubernetes' ? { typ: undefined } : {}

/** An issuer of one platform's tokens over TLS: discovery, keys, and tokens of that shape. */
export const runPlatformIssuer = async (
  platform: Issuer['platform'],
  audience: string,
): Promise<PlatformIssuer> => {
  const { ca, server: certificate } = makeWebCertificate()
  const key = newSigningKey(`${platform}-1`, algorithmOf[platform] ?? 'ES256')
  const server = await runHttps(certificate, (request, response) => {
    const url = `https://${request.headers.host}`
    const document =
      request.url === '/.well-known/openid-configuration'
        ? { issuer: url, jwks_uri: `${url}/keys` }
        : request.url === '/keys'
          ? { keys: [key.jwk] }
          : undefined
    response.writeHead(document ? 200 : 404, { 'content-type': 'application/json' })
    response.end(JSON.stringify(document ?? {}))
  })
  return {
    platform,
    url: server.url,
    ca,
    key,
    token: (claims = {}) => {
      const iat = Math.floor(Date.now() / 1000)
      const standard = { iss: server.url, aud: audience, iat, nbf: iat, exp: iat + 600 }
      return signToken(
        key,
        { ...standard, ...platformClaims[platform], ...claims },
        typeOf(platform),
      )
    },
    close: server.close,
  }
}
