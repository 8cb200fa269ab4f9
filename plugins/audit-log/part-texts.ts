import type { AuditEvent } from '#contract/audit-event'
import { quoted } from '#contract/quoted'

type Caller = NonNullable<AuditEvent['caller']>
type Minted = NonNullable<AuditEvent['minted']>

/** A member of a JSON object behind others; nothing without a value. */
export const text = (
  name: keyof AuditEvent | keyof Caller | keyof Minted | 'tls' | 'clientSpiffeId',
  value: string | undefined,
): string => (value === undefined ? '' : `,"${name}":${quoted(value)}`)

// Of each new token there is one of these, by hand in half the time of `JSON.stringify`.

export const callerText = ({
  issuer,
  subject,
  tokenFingerprint,
  kid,
  jti,
  expiresAt,
}: Caller): string =>
  `{"issuer":${quoted(issuer)},"subject":${quoted(subject)},"tokenFingerprint":${quoted(tokenFingerprint)},"kid":${quoted(kid)}${text('jti', jti)},"expiresAt":${quoted(expiresAt)}}`

export const mintedText = ({
  tokenType,
  subject,
  audience,
  scope,
  txn,
  jti,
  kid,
  expiresAt,
  fromCache,
}: Minted): string =>
  `{"tokenType":${quoted(tokenType)},"subject":${quoted(subject)},"audience":${quoted(audience)}${text('scope', scope)}${text('txn', txn)},"jti":${quoted(jti)},"kid":${quoted(kid)},"expiresAt":${quoted(expiresAt)},"fromCache":${fromCache}}`
