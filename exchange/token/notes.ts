import { isoTimes } from '#contract/clock'
import type { SpiffeId } from '#contract/spiffe-id'
import type { VerifiedToken } from '#identity/jwt/verified-token'
import type { IssuedRegister, Registered } from '../issued/register.ts'
import type { ExchangeRecord } from '../record.ts'
import type { Minted } from './mint.ts'
import { grantedAs, oauthRefuse, type OAuthResult } from './oauth-error.ts'

/** What an exchange may write into its record. */
export type Notes = Pick<ExchangeRecord, 'at' | 'learn' | 'note'>

/** What is put into a record of a token's fingerprint: enough to find it again, not enough to be one. */
const fingerprintChars = 16

// Each of them mostly writes the same second as the time before.
const endOfToken = isoTimes()
const endOfMinted = isoTimes()

/** Who it is in the mesh, and by which rule of which rules. */
export const mappedFacts = ({
  spiffeId,
  rule,
  revision,
}: {
  readonly spiffeId: SpiffeId
  readonly rule: string | undefined
  readonly revision?: string
}) => ({
  spiffeId,
  ...(rule === undefined ? {} : { mapping: rule }),
  ...(revision === undefined ? {} : { mappingRevision: revision }),
})

/** What was asked for. */
export const askedFacts = (
  tokenType: string,
  audience: string,
  scopes: readonly string[] | undefined,
) => ({
  asked: { tokenType, audience, ...(scopes?.length ? { scope: scopes.join(' ') } : {}) },
})

/** What the record says of a token that something is asked with. */
export const factsOf = ({
  issuerName,
  subject,
  fingerprint,
  kid,
  jti,
  expiresAtMs,
}: VerifiedToken) => ({
  parent: fingerprint,
  caller: {
    issuer: issuerName,
    subject,
    tokenFingerprint: fingerprint.slice(0, fingerprintChars),
    kid,
    ...(jti === undefined ? {} : { jti }),
    expiresAt: endOfToken(expiresAtMs),
  },
})

/**
 * Puts what was minted into the register and the record, before it is given out. Refuses it if what it came from was
 * taken back meanwhile, or if a restart would forget it.
 *
 * @param parent Fingerprint of what it came from, '' for nothing.
 */
export const noteMinted = async (
  minted: Minted,
  client: string,
  parent: string,
  register: Pick<IssuedRegister, 'add'>,
  record: Pick<Notes, 'at' | 'learn'>,
): Promise<OAuthResult<Minted>> => {
  const { kind, tokenType, subject: sub, audience, scopes, txn, jti, kid } = minted
  const { issuedAtSeconds, expiresAtSeconds, fingerprint } = minted
  const expiresAtMs = expiresAtSeconds * 1000
  record.at('register')
  const registered = await register.add({
    id: jti,
    kind,
    subject: sub satisfies SpiffeId,
    client,
    audience,
    kid,
    issuedAtMs: issuedAtSeconds * 1000,
    expiresAtMs,
    parent,
    fingerprint,
  })
  if (registered !== 'registered') return notRegistered(registered)
  record.learn({
    minted: {
      tokenType,
      subject: sub,
      audience,
      ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
      ...(txn === undefined ? {} : { txn }),
      jti,
      kid,
      expiresAt: endOfMinted(expiresAtMs),
      fromCache: false,
    },
  })
  return grantedAs(minted)
}

const notRegistered = (why: Exclude<Registered, 'registered'>) =>
  why === 'unwritable'
    ? oauthRefuse(
        'temporarily_unavailable',
        'audit-unavailable',
        'it cannot be remembered now, try again later',
        { retryAfterSeconds: 60 },
      )
    : oauthRefuse('invalid_request', 'token-revoked', 'subject_token: The token was revoked.')
