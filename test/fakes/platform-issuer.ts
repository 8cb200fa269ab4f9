import type { Issuer } from '#config/schema'
import { webCertificate, runHttps } from './https-server.ts'
import { makeCertificate } from './openssl.ts'
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
  'azure-attestation': 'RS256',
}
const headerOf = (platform: Issuer['platform'], url: string) => {
  if (platform === 'kubernetes') return { typ: undefined }
  return platform === 'azure-attestation' ? { jku: `${url}/certs` } : {}
}
/** Azure Attestation publishes certificates alone, and its tokens are for whom their nonce says. */
const keyAsPublished = (platform: Issuer['platform'], { kid, jwk, privateKey }: SigningKey) => {
  if (platform !== 'azure-attestation') return jwk
  const { der } = makeCertificate({ subject: '/CN=attestation', extensions: [], key: privateKey })
  return { kid, kty: 'RSA', x5c: [der.toString('base64')] }
}

/** An issuer of one platform's tokens over TLS: discovery, keys, and tokens of that shape. */
export const runPlatformIssuer = async (
  platform: Issuer['platform'],
  audience: string,
): Promise<PlatformIssuer> => {
  const { ca, server: certificate } = webCertificate()
  const key = newSigningKey(`${platform}-1`, algorithmOf[platform] ?? 'ES256')
  const published = keyAsPublished(platform, key)
  const isAttested = platform === 'azure-attestation'
  const server = await runHttps(certificate, (request, response) => {
    const url = `https://${request.headers.host}`
    const document =
      request.url === '/.well-known/openid-configuration'
        ? { issuer: url, jwks_uri: `${url}/certs` }
        : request.url === '/certs'
          ? { keys: [published] }
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
      const times = { iat, nbf: iat, exp: iat + 600 }
      const standard = { iss: server.url, ...(isAttested ? {} : { aud: audience }), ...times }
      return signToken(
        key,
        { ...standard, ...platformClaims[platform], ...claims },
        headerOf(platform, server.url),
      )
    },
    close: server.close,
  }
}
