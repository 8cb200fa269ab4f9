import { sign, type KeyObject } from 'node:crypto'
import type { RandomBytes } from '#contract/clock'
import { derToP1363 } from '../jwt/ecdsa-signature.ts'

export const clientAssertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

const lifetimeSeconds = 60
const jtiBytes = 16
/** Of r and of s. */
const es256Bytes = 32

export type AssertionOf = {
  readonly clientId: string
  /** The issuer identifier of the server: its sole audience. */
  readonly audience: string
  /** P-256. */
  readonly key: KeyObject
  readonly keyId: string | undefined
}

/**
 * A new assertion of who we are, good for one minute at one server.
 *
 * @see RFC 7523 §3, draft-ietf-oauth-rfc7523bis §4
 */
export const clientAssertion = (
  { clientId, audience, key, keyId }: AssertionOf,
  randomBytes: RandomBytes,
  nowMs: number,
): string => {
  const iat = Math.floor(nowMs / 1000)
  const input = [
    {
      alg: 'ES256',
      ...(keyId === undefined ? {} : { kid: keyId }),
      typ: 'client-authentication+jwt',
    },
    {
      iss: clientId,
      sub: clientId,
      aud: audience,
      jti: randomBytes(jtiBytes).toString('base64url'),
      iat,
      exp: iat + lifetimeSeconds,
    },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  const signature = derToP1363(sign('sha256', Buffer.from(input), key), es256Bytes)
  return `${input}.${signature.toString('base64url')}`
}
