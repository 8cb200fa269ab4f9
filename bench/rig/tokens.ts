import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { derToP1363 } from '#identity/jwt/ecdsa-signature'

export const issuer = 'https://issuer.bench'
export const audience = 'https://api.bench'
const kid = 'es256'
const lifetimeSeconds = 3600
/** How many people there are behind fresh tokens. */
const people = 1000

/** An issuer of tokens, its keys in files. */
export type TokenMaker = {
  /** JWK Set. */
  readonly jwksFile: string
  /** PEM. */
  readonly publicKeyFile: string
  readonly token: (claims?: object) => string
  /** So many tokens of which no two are alike, and which nobody else is sent. */
  readonly freshList: (count: number, name: string) => readonly string[]
  /** A script for wrk that sends another token with each request, `count` of them in turn, which nobody else is sent. */
  readonly freshTokens: (count: number, name: string) => string
}

export const tokenMaker = (folder: string): TokenMaker => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' }
  const save = (name: string, text: string): string => {
    const file = join(folder, name)
    writeFileSync(file, text)
    return file
  }
  const token = (claims: object = {}) => signToken(privateKey, { ...usualClaims(), ...claims })
  const freshList = (count: number, name: string) =>
    Array.from({ length: count }, (_, i) =>
      token({ sub: `user-${i % people}`, jti: `${name}-${i}` }),
    )
  return {
    jwksFile: save('jwks.json', JSON.stringify({ keys: [jwk] })),
    publicKeyFile: save('issuer.pem', publicKey.export({ type: 'spki', format: 'pem' }).toString()),
    token,
    freshList,
    freshTokens: (count, name) => {
      const file = save(`tokens-${name}.txt`, freshList(count, name).join('\n'))
      return save(`tokens-${name}.lua`, scriptFor(file))
    },
  }
}

const usualClaims = () => {
  const seconds = Math.floor(Date.now() / 1000)
  return {
    iss: issuer,
    aud: audience,
    sub: 'user-1',
    jti: '1',
    iat: seconds,
    exp: seconds + lifetimeSeconds,
    scope: 'orders:read',
    tenant: 't1',
    roles: ['orders-reader'],
  }
}

const signToken = (key: KeyObject, claims: object): string => {
  const encoded = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const input = `${encoded({ alg: 'ES256', kid, typ: 'JWT' })}.${encoded(claims)}`
  const signature = derToP1363(sign('sha256', Buffer.from(input), key), 32)
  return `${input}.${signature.toString('base64url')}`
}

/** Goes on where the run before it stopped: whoever remembers thousands would know those that it began with. */
const scriptFor = (
  tokensFile: string,
): string => `local tokens, place, sender = {}, "${tokensFile}.place", nil
i = 0
for line in io.lines("${tokensFile}") do tokens[#tokens + 1] = "Bearer " .. line end
setup = function(thread) sender = thread end
init = function()
  local file = io.open(place)
  if file then i = file:read("*n"); file:close() end
end
request = function()
  i = i % #tokens + 1
  wrk.headers["Authorization"] = tokens[i]
  return wrk.format()
end
done = function()
  local file = io.open(place, "w")
  file:write(string.format("%d", sender:get("i")))
  file:close()
end
`
