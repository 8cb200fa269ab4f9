import { isoTime } from '#contract/clock'
import type { SpiffeId } from '#contract/spiffe-id'
import type { VerifiedToken } from '#identity/jwt/verified-token'
import type { IssuedRegister } from '../issued/register.ts'
import type { ExchangeRecord } from '../record.ts'
import type { Minted } from './mint.ts'

/** What an exchange may write into its record. */
export type Notes = Pick<ExchangeRecord, 'at' | 'learn' | 'note'>

/** What is put into a record of a token's fingerprint: enough to find it again, not enough to be one. */
const fingerprintChars = 16

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
    expiresAt: isoTime(expiresAtMs),
  },
})

/** Puts what was minted into the record and the register. `parent` is the fingerprint of what it came from, '' for nothing. */
export const noteMinted = (
  minted: Minted,
  client: string,
  parent: string,
  register: Pick<IssuedRegister, 'add'>,
  record: Pick<Notes, 'learn'>,
): void => {
  const { kind, tokenType, subject: sub, audience, scopes, txn, jti, kid } = minted
  const { issuedAtSeconds, expiresAtSeconds, fingerprint } = minted
  const expiresAtMs = expiresAtSeconds * 1000
  record.learn({
    minted: {
      tokenType,
      subject: sub,
      audience,
      ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
      ...(txn === undefined ? {} : { txn }),
      jti,
      kid,
      expiresAt: isoTime(expiresAtMs),
      fromCache: false,
    },
  })
  register.add({
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
}
