import { parseJson } from '#contract/parse-json'
import { parseSpiffeId, type SpiffeId } from '#contract/spiffe-id'
import { bad, good, type Outcome } from '#identity/outcome'

export const issuedKinds = [
  'jwt-svid',
  'access-token',
  'txn-token',
  'x509-svid',
  'inspection-leaf',
] as const
type IssuedKind = (typeof issuedKinds)[number]

/** One credential that was issued and has not ended. */
export type Issued = {
  /** `jti` of a token, serial of a certificate. */
  readonly id: string
  readonly kind: IssuedKind
  readonly subject: SpiffeId
  /** Who asked for it. */
  readonly client: string
  /** '' for an X.509-SVID, the host for an `inspection-leaf`. */
  readonly audience: string
  readonly kid: string
  readonly issuedAtMs: number
  readonly expiresAtMs: number
  /** SHA-256 of the signing input of the token that it came from, '' if it came from none. */
  readonly parent: string
  /** The same of itself, for a token; '' for a certificate. */
  readonly fingerprint: string
}

/** One line of JSON, without the line's end. There is no token in it. */
export const issuedLine = (one: Issued): string => JSON.stringify(one)

const idShape = /^[\w-]{1,128}$/
const printShape = /^(?:[\w-]{43})?$/

/** Reads what `issuedLine` wrote; a fault for anything else. */
export const readIssuedLine = (line: string): Outcome<Issued> => {
  const value = parseJson(line)
  if (value === undefined) return bad('it is not JSON')
  if (typeof value !== 'object' || value === null) return bad('it is no object')
  const { id, kind, subject, client, audience, kid, issuedAtMs, expiresAtMs, parent, fingerprint } =
    value as Readonly<Record<string, unknown>>
  const spiffeId = typeof subject === 'string' ? parseSpiffeId(subject) : undefined
  if (
    !isText(id) ||
    !idShape.test(id) ||
    !isIssuedKind(kind) ||
    !spiffeId?.ok ||
    !isText(client) ||
    !isText(audience) ||
    !isText(kid) ||
    !Number.isSafeInteger(issuedAtMs) ||
    !Number.isSafeInteger(expiresAtMs) ||
    !isText(parent) ||
    !printShape.test(parent) ||
    !isText(fingerprint) ||
    !printShape.test(fingerprint)
  )
    return bad('it is not what was written here')
  const times = { issuedAtMs: Number(issuedAtMs), expiresAtMs: Number(expiresAtMs) }
  return good({
    id,
    kind,
    subject: spiffeId.value,
    client,
    audience,
    kid,
    ...times,
    parent,
    fingerprint,
  })
}

const isText = (value: unknown): value is string => typeof value === 'string'
const isIssuedKind = (value: unknown): value is IssuedKind =>
  (issuedKinds as readonly unknown[]).includes(value)
