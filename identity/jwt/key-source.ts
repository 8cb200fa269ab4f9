import { open } from 'node:fs/promises'
import type { Issuer } from '#config/schema'
import { causeText } from '#contract/cause'
import { boundedFetch, type BoundedFetch } from '#http/bounded-fetch'
import { bad, good, type Outcome } from '../outcome.ts'
import { parseStrictObject } from '../json-strict.ts'
import { readTokenFile } from '../token-file.ts'
import { maxJwksBytes } from './jwks.ts'

/** Where the text of an issuer's JWK Set comes from. */
export type KeySource = {
  /** @param anew Also find out anew where the keys are, if that has to be found out. */
  readonly load: (anew: boolean) => Promise<Outcome<Buffer>>
  readonly close: () => void
}

export type KeySourceOptions = {
  /** PEM of the issuer's `caFile`. */
  readonly ca: string | undefined
  readonly allowPlainHttp: boolean
  readonly timeoutMs: number
}

/** Kubernetes has a key set in the type of RFC 7517 §8.5 alone, and answers 406 to whoever wants another. */
const acceptedTypes = 'application/json, application/jwk-set+json'
const discoveryPath = '/.well-known/openid-configuration'

/** `jwksFile`, else `jwksUrl`, else OpenID discovery. */
export const keySourceOf = (issuer: Issuer, options: KeySourceOptions): KeySource => {
  if (issuer.jwksFile !== undefined) return fileSource(issuer.jwksFile)
  const token = issuer.jwksTokenFile
  const fetcher = boundedFetch({
    ca: options.ca,
    allowPlainHttp: options.allowPlainHttp,
    timeoutMs: options.timeoutMs,
    maxBodyBytes: maxJwksBytes,
  })
  return issuer.jwksUrl === undefined
    ? discoverySource(issuer.issuer, fetcher, token)
    : urlSource(issuer.jwksUrl, fetcher, token)
}

const fileSource = (path: string): KeySource => ({
  load: async () => {
    try {
      await using file = await open(path, 'r')
      const buffer = Buffer.alloc(maxJwksBytes + 1)
      const { bytesRead } = await file.read(buffer, 0, buffer.length, 0)
      return good(buffer.subarray(0, bytesRead))
    } catch (cause) {
      if (!(cause instanceof Error && 'code' in cause)) throw cause
      return bad(`cannot read ${path}: ${causeText(cause)}`)
    }
  },
  close: () => {},
})

const urlSource = (
  url: string,
  fetcher: BoundedFetch,
  tokenFile: string | undefined,
): KeySource => ({
  load: () => get(fetcher, url, tokenFile),
  close: fetcher.close,
})

/**
 * OpenID Connect Discovery 1.0 §4: the document at the issuer names the address of its keys. That address is remembered,
 * so that a rotation costs one fetch, and keys are still found while the document is not.
 */
const discoverySource = (
  issuer: string,
  fetcher: BoundedFetch,
  tokenFile: string | undefined,
): KeySource => {
  let known: string | undefined
  return {
    load: async (anew) => {
      if (anew || known === undefined) {
        const found = await discover(issuer, fetcher, tokenFile)
        if (found.ok) known = found.value
        else if (known === undefined) return found
      }
      // A document that was tampered with must not have our token sent elsewhere.
      const isOwn = URL.canParse(known) && new URL(known).origin === new URL(issuer).origin
      return get(fetcher, known, isOwn ? tokenFile : undefined)
    },
    close: fetcher.close,
  }
}

const discover = async (
  issuer: string,
  fetcher: BoundedFetch,
  tokenFile: string | undefined,
): Promise<Outcome<string>> => {
  const url = issuer.replace(/\/$/, '') + discoveryPath
  const document = await get(fetcher, url, tokenFile)
  if (!document.ok) return document
  const parsed = parseStrictObject(document.value)
  if (!parsed.ok) return bad(`${url}: ${parsed.fault}`)
  // §4.3: not identical, not to be used. Else one issuer could lead us to the keys of another.
  if (parsed.value.issuer !== issuer)
    return bad(`${url} is of another issuer: ${JSON.stringify(parsed.value.issuer)?.slice(0, 200)}`)
  const { jwks_uri: jwksUri } = parsed.value
  return typeof jwksUri === 'string' ? good(jwksUri) : bad(`${url} has no jwks_uri`)
}

const get = async (
  fetcher: BoundedFetch,
  url: string,
  tokenFile: string | undefined,
): Promise<Outcome<Buffer>> => {
  const token = tokenFile === undefined ? good(undefined) : await readTokenFile(tokenFile)
  if (!token.ok) return token
  const answer = await fetcher.ask(url, {
    headers: {
      accept: acceptedTypes,
      ...(token.value === undefined ? {} : { authorization: `Bearer ${token.value}` }),
    },
  })
  if (!answer.ok) return bad(`${url}: ${answer.fault}`)
  return answer.status === 200 ? good(answer.body) : bad(`${url}: status ${answer.status}`)
}
