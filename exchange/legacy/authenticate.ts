import { hash, type X509Certificate } from 'node:crypto'
import type { SpendOnce } from '#contract/replay'
import { basicCredentials } from '#identity/credentials/basic'
import { checkClientCertificate } from '#identity/credentials/client-certificate'
import type { FailureBudget } from '#identity/credentials/failure-budget'
import { secretHash } from '#identity/credentials/secret-hash'
import { readRequestSignature, type SignableRequest } from '#identity/credentials/signed-request'
import {
  grantedAs,
  oauthRefuse,
  type OAuthRefusal,
  type OAuthResult,
} from '../token/oauth-error.ts'
import { oauthRefusalOf } from '../token/party.ts'
import { apiKeyHash, type LegacyIdentity, type LegacyRegistry } from './registry.ts'

export type LegacyParts = {
  readonly registry: LegacyRegistry
  readonly budget: FailureBudget
  readonly spendOnce: SpendOnce
}

/** What a request shows of a caller that knows nothing of tokens. */
export type LegacyCredentials = {
  readonly request: SignableRequest
  /** Of the connection, whoever issued it: the handshake has proved its key and nothing else. */
  readonly certificate: X509Certificate | undefined
}

const nobodysSecret = secretHash(`sha256:${'0'.repeat(64)}`)
const maxSecretChars = 1024

/**
 * Finds out who asks, by one of: a signature over the request, an API key, a password, the certificate of the connection.
 * Wrong passwords count for the caller whose name was given. Nothing else can be guessed, and counting it by address would
 * let one stranger shut out all who come by the same proxy.
 *
 * @returns Refuses with `invalid_client`, with `invalid_request` for two proofs at once, or with 429 once too much failed.
 */
export const authenticateLegacy = async (
  credentials: LegacyCredentials,
  parts: LegacyParts,
  nowMs: number,
): Promise<OAuthResult<LegacyIdentity>> => {
  const { headers } = credentials.request
  const { authorization } = headers
  const apiKey = headers['x-api-key']
  const isSigned = headers['signature'] !== undefined || headers['signature-input'] !== undefined
  const sent = [authorization, apiKey, isSigned ? 'signature' : undefined]
  if (sent.filter((proof) => proof !== undefined).length > 1)
    return oauthRefuse(
      'invalid_request',
      'exchange-request-invalid',
      'there is more than one proof of who the client is',
    )
  if (isSigned) return bySignature(credentials, parts, nowMs)
  if (apiKey !== undefined) return byApiKey(apiKey, parts)
  if (authorization !== undefined) return byPassword(authorization, parts)
  return byCertificate(credentials, parts, nowMs)
}

/** Looks at a password unless too many have failed, and counts it if it fails. */
const within = async (
  { budget }: LegacyParts,
  key: string,
  prove: () => Promise<OAuthResult<LegacyIdentity>>,
): Promise<OAuthResult<LegacyIdentity>> => {
  const waitMs = budget.waitMs(key)
  if (waitMs > 0)
    return oauthRefuse('temporarily_unavailable', 'rate-exceeded', 'too many failures', {
      status: 429,
      retryAfterSeconds: Math.ceil(waitMs / 1000),
      cause: `failures of ${key}`,
    })
  const proved = await prove()
  if (!proved.ok && proved.error.code === 'invalid_client') budget.failed(key)
  return proved
}

const byApiKey = (key: string, { registry }: LegacyParts): OAuthResult<LegacyIdentity> => {
  const identity = key.length > maxSecretChars ? undefined : registry.byApiKey.get(apiKeyHash(key))
  return identity === undefined ? failed('no such API key') : grantedAs(identity)
}

const byPassword = async (
  authorization: string,
  parts: LegacyParts,
): Promise<OAuthResult<LegacyIdentity>> => {
  const basic = basicCredentials(authorization)
  if (basic === undefined || basic.secret.length > maxSecretChars)
    return failed('the Authorization header is not acceptable')
  const known = parts.registry.byPassword.get(basic.id)
  const prove = async (): Promise<OAuthResult<LegacyIdentity>> => {
    // Somebody's hash in any case, so that it takes as long.
    const fits = known?.fits ?? [nobodysSecret]
    const fitting = await Promise.all(fits.map((one) => one(basic.secret)))
    return known !== undefined && fitting.includes(true)
      ? grantedAs(known.identity)
      : failed('wrong name or password')
  }
  return known === undefined ? prove() : within(parts, known.identity.name, prove)
}

const bySignature = async (
  { request }: LegacyCredentials,
  { registry, spendOnce }: LegacyParts,
  nowMs: number,
): Promise<OAuthResult<LegacyIdentity>> => {
  const read = readRequestSignature(request, nowMs)
  if (!read.ok) return failed(read.fault)
  const { keyId, base, signature, algorithm, nonce, spentUntilMs } = read.value
  const known = registry.byKeyId.get(keyId)
  if (known === undefined) return failed('no such keyid')
  const { check, identity } = known
  if (algorithm !== undefined && algorithm !== check.algorithm)
    return failed(`its alg is not ${check.algorithm}`)
  if (!check.verify(base, signature)) return failed('its signature is not valid')
  const id = hash('sha256', `${identity.name} ${nonce}`, 'base64url')
  const spent = await spendOnce('signed-request', id, spentUntilMs)
  if (spent.ok) return grantedAs(identity)
  return spent.problem.tag === 'replay-unavailable'
    ? oauthRefusalOf(spent.problem, 'signature')
    : oauthRefuse('invalid_client', spent.problem.tag, 'this request was made before')
}

const byCertificate = async (
  { certificate }: LegacyCredentials,
  { registry }: LegacyParts,
  nowMs: number,
): Promise<OAuthResult<LegacyIdentity>> => {
  if (certificate === undefined) return failed('there is no proof at all')
  const faults: string[] = []
  for (const { identity, rule } of registry.byCertificate) {
    const checked = checkClientCertificate(certificate, await rule(), nowMs)
    if (checked.ok) return grantedAs(identity)
    faults.push(`${identity.name}: ${checked.fault}`)
  }
  return failed(faults.join('; ') || 'no caller comes by a certificate')
}

const failed = (cause: string): OAuthRefusal =>
  oauthRefuse('invalid_client', 'client-unauthenticated', 'the client could not prove who it is', {
    cause,
  })
