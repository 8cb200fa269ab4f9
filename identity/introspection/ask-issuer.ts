import { createHash, createPrivateKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { causeText } from '#contract/cause'
import type { Clock, RandomBytes } from '#contract/clock'
import type { Issuer } from '#config/schema'
import { boundedFetch } from '#http/bounded-fetch'
import { parseStrictObject, type JsonObject } from '../json-strict.ts'
import { bad, type Outcome } from '../outcome.ts'
import { clientAssertion, clientAssertionType } from './client-assertion.ts'

export type Introspection = NonNullable<Issuer['introspection']>

/** Where an issuer is asked, with the files of its configuration read. */
export type AskIssuerOptions = {
  /** Its `iss`. */
  readonly issuer: string
  readonly introspection: Introspection
  readonly credentials: Credentials
  /** PEM of its `caFile`. */
  readonly ca: string | undefined
  readonly allowPlainHttp: boolean
  readonly clock: Clock
  readonly randomBytes: RandomBytes
}

/** What the files of `authentication` hold. */
export type Credentials = {
  readonly key: KeyObject | undefined
  readonly certificate:
    | { readonly certificateChain: string; readonly privateKey: string }
    | undefined
  /** SHA-256 of all of it, secret included: another one when one of them changed. */
  readonly digest: string
}

/** No answer about one token is larger. */
const maxAnswerBytes = 65_536

/** `away` when nobody answered: then the next one need not be tried at once. */
export type NoIntrospection = { readonly ok: false; readonly fault: string; readonly away: boolean }

/**
 * Asks an issuer about a token.
 *
 * @returns A function that never rejects for what the issuer does. Its answer is JSON that cannot be misunderstood, and
 *   nothing else of it is judged.
 * @see RFC 7662 §2.1
 */
export const askIssuer = (options: AskIssuerOptions) => {
  const { introspection, credentials, ca, allowPlainHttp } = options
  const { endpoint, timeoutMs } = introspection
  const fetcher = boundedFetch({
    ca,
    allowPlainHttp,
    timeoutMs,
    maxBodyBytes: maxAnswerBytes,
    client: credentials.certificate,
  })
  return {
    ask: async (
      token: string,
    ): Promise<{ readonly ok: true; readonly value: JsonObject } | NoIntrospection> => {
      const { headers, fields } = proofOf(options)
      const answer = await fetcher.ask(endpoint, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          accept: 'application/json',
          ...headers,
        },
        body: new URLSearchParams({
          token,
          token_type_hint: 'access_token',
          ...fields,
        }).toString(),
      })
      if (!answer.ok) return { ok: false, fault: answer.fault, away: true }
      const read = readAnswer(answer)
      return read.ok ? read : { ...read, away: false }
    },
    close: fetcher.close,
  }
}

const readAnswer = ({
  status,
  body,
  contentType = '',
}: {
  readonly status: number
  readonly body: Buffer
  readonly contentType?: string | undefined
}): Outcome<JsonObject> => {
  // An answer of 400 may quote the token, so of a body that is no answer nothing is told.
  if (status === 401) return bad('it does not take our credentials (status 401)')
  if (status !== 200) return bad(`status ${status}`)
  const type = contentType.split(';', 1)[0]?.trim().toLowerCase()
  if (type === 'application/token-introspection+jwt')
    return bad('it answered with a JWT (RFC 9701), which is not read here: let it answer with JSON')
  if (type !== 'application/json') return bad('its answer is not application/json')
  const parsed = parseStrictObject(body)
  return parsed.ok ? parsed : bad(`its answer: ${parsed.fault}`)
}

const proofOf = ({
  issuer,
  introspection: { authentication },
  credentials,
  randomBytes,
  clock,
}: AskIssuerOptions): {
  readonly headers?: Record<string, string>
  readonly fields?: Record<string, string>
} => {
  const { clientId } = authentication
  switch (authentication.method) {
    case 'client_secret_basic': {
      const pair = [clientId, authentication.secret.reveal().trim()].map(formEncoded).join(':')
      return { headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` } }
    }
    case 'private_key_jwt': {
      const { key } = credentials
      if (key === undefined) throw new TypeError('private_key_jwt without a key')
      const of = { clientId, audience: issuer, key, keyId: authentication.keyId }
      return {
        fields: {
          client_id: clientId,
          client_assertion_type: clientAssertionType,
          client_assertion: clientAssertion(of, randomBytes, clock()),
        },
      }
    }
    case 'tls_client_auth':
      return { fields: { client_id: clientId } }
    default:
      return authentication satisfies never
  }
}

/** RFC 6749 §2.3.1: both halves as a form would have them, before they are joined. */
const formEncoded = (text: string): string => new URLSearchParams({ '': text }).toString().slice(1)

/**
 * Reads the files that we prove ourselves with.
 *
 * @throws Error for what the operator has to mend.
 */
export const readCredentials = (name: string, { authentication }: Introspection): Credentials => {
  const at = `issuers.${name}.introspection.authentication`
  const digest = createHash('sha256').update(authentication.method)
  switch (authentication.method) {
    case 'client_secret_basic':
      digest.update(authentication.secret.reveal())
      return { key: undefined, certificate: undefined, digest: digest.digest('base64url') }
    case 'private_key_jwt': {
      const pem = readText(`${at}.keyFile`, authentication.keyFile)
      const key = p256Of(`${at}.keyFile`, pem)
      return { key, certificate: undefined, digest: digest.update(pem).digest('base64url') }
    }
    case 'tls_client_auth': {
      const certificateChain = readText(`${at}.certificateFile`, authentication.certificateFile)
      const privateKey = readText(`${at}.keyFile`, authentication.keyFile)
      digest.update(certificateChain).update(privateKey)
      return {
        key: undefined,
        certificate: { certificateChain, privateKey },
        digest: digest.digest('base64url'),
      }
    }
    default:
      return authentication satisfies never
  }
}

const p256Of = (at: string, pem: string): KeyObject => {
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch {
    throw new Error(`${at} holds no private key in PEM`)
  }
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    throw new Error(`${at} is no P-256 key, and assertions are signed with ES256`)
  return key
}

const readText = (at: string, path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new Error(`${at} cannot be read: ${causeText(cause)}`, { cause })
  }
}
