import { createLocalJWKSet, errors, jwtVerify, type JSONWebKeySet } from 'jose'
import { boundedFetch } from '#http/bounded-fetch'

const keysAgeMs = 30_000

/**
 * Checks minted tokens as any service would: by the keys that the exchange publishes, for its own audience.
 *
 * @returns A function that gives the SPIFFE ID of the caller, or undefined for a token that is not good here.
 */
export const mintedTokens = (exchangeUrl: string, audience: string, roots: () => string) => {
  let keys: ReturnType<typeof createLocalJWKSet> | undefined
  let fetchedAt = 0

  const fetchKeys = async () => {
    const fetch = boundedFetch({ ca: roots() })
    const answer = await fetch.ask(`${exchangeUrl}/keys`)
    fetch.close()
    if (!answer.ok || answer.status !== 200) return
    keys = createLocalJWKSet(JSON.parse(answer.body.toString('utf8')) as JSONWebKeySet)
    fetchedAt = performance.now()
  }

  const subjectOf = async (token: string): Promise<string | undefined> => {
    if (!keys) return undefined
    try {
      const { payload } = await jwtVerify(token, keys, { audience, algorithms: ['ES256'] })
      return payload.sub
    } catch (cause) {
      if (cause instanceof errors.JOSEError) return undefined
      throw cause
    }
  }

  return async (authorization: string): Promise<string | undefined> => {
    const token = authorization.replace(/^Bearer /, '')
    if (!keys || performance.now() - fetchedAt > keysAgeMs) await fetchKeys()
    return (await subjectOf(token)) ?? (await fetchKeys(), subjectOf(token))
  }
}
