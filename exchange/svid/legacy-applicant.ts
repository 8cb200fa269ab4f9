import { admitted, pass, refuse, type Result } from '#contract/problem'
import { isDigestOf } from '#identity/credentials/signed-request'
import { authenticateLegacy, type LegacyParts } from '../legacy/authenticate.ts'
import type { FindGrant } from '../token/grants.ts'
import { ownIssuerName } from '../token/own-token.ts'
import {
  applicant,
  mayHaveCertificate,
  problemOf,
  type Applicant,
  type ApplicantNotes,
  type ApplicantQuestion,
} from './application.ts'

export type LegacyApplicants = LegacyParts & {
  readonly certificateLifetimeMs: number
  /** Host (with port) as callers know it, and where certificates are asked for: what they sign. */
  readonly authority: string
  readonly svidPath: string
}

export type LegacyApplicantParts = Parameters<typeof mayHaveCertificate>[3] & {
  readonly findGrant: FindGrant
  /** Undefined where no legacy caller is known. */
  readonly legacy: LegacyApplicants | undefined
}

/** Whether it comes with what only legacy callers have. A certificate of the mesh is for renewals. */
export const showsLegacy = ({ headers, peer, certificate }: ApplicantQuestion): boolean => {
  const { authorization } = headers
  if (authorization !== undefined) return /^basic /i.test(authorization)
  return hasLegacyHeader(headers) || (certificate !== undefined && peer.kind === 'refused')
}

/** A token and besides it what only legacy callers have: it could be either's request. */
export const showsTwo = ({ headers, authorization = '' }: ApplicantQuestion): boolean =>
  /^bearer /i.test(authorization) && hasLegacyHeader(headers)

const hasLegacyHeader = (headers: ApplicantQuestion['headers']): boolean =>
  ['x-api-key', 'signature', 'signature-input'].some((name) => headers[name] !== undefined)

/**
 * A legacy caller that asks for a certificate for a key of its own: allowed by a grant to `self`, for a shorter life, and
 * it cannot be renewed by itself.
 *
 * @returns Refuses with `credential-refused`, `client-not-allowed`, or as its credential, the limit or the policy does.
 */
export const byLegacy = async (
  question: ApplicantQuestion,
  parts: LegacyApplicantParts,
  nowMs: number,
  record: ApplicantNotes,
): Promise<Result<Applicant>> => {
  const { legacy } = parts
  if (legacy === undefined) return refuse('credential-refused')
  const { headers, certificate } = question
  const { authority, svidPath: path } = legacy
  const proved = await authenticateLegacy(
    {
      request: { method: 'POST', authority, path, query: '', headers, body: 'elsewhere' },
      certificate,
    },
    legacy,
    nowMs,
  )
  if (!proved.ok)
    return proved.error.problem === 'client-unauthenticated'
      ? refuse('credential-refused', {
          cause: proved.error.cause,
          headers: { 'www-authenticate': 'Basic realm="sallyport"' },
        })
      : problemOf(proved.error)
  const { name, spiffeId, method } = proved.value
  record.learn({ client: name, spiffeId })
  record.note(`by ${method}`)
  record.at('grant')
  const granted = parts.findGrant({
    by: 'self',
    subject: spiffeId,
    token: 'x509-svid',
    audience: undefined,
    scopes: [],
  })
  if (!granted.ok) return problemOf(granted.error)
  const subject = { spiffeId, token: { issuerName: ownIssuerName, claims: { legacy: method } } }
  const about = { client: name, grant: granted.value }
  const mayHave = await mayHaveCertificate(question, subject, about, parts, nowMs, record)
  if (!mayHave.ok) return mayHave
  return pass(
    applicant('legacy', spiffeId, {
      client: name,
      notAfterMs: nowMs + legacy.certificateLifetimeMs,
      ...(method === 'signed_request'
        ? { seesBody: (body) => digestFits(headers['content-digest'] ?? '', body) }
        : {}),
    }),
  )
}

const digestFits = (digest: string, body: Buffer): Result<void> =>
  isDigestOf(digest, body)
    ? admitted
    : refuse('credential-refused', { cause: 'its Content-Digest is not that of its body' })
