import type { X509Certificate } from 'node:crypto'
import { admitted, type Problem, type Result } from '#contract/problem'
import type { SpiffeId } from '#contract/spiffe-id'
import type { Soon } from '#contract/step'
import type { Peer } from '../peer.ts'
import type { ExchangeRecord } from '../record.ts'
import { decideExchange, type ExchangePolicy, type PolicyQuestion } from '../token/decide.ts'
import type { TakeOne } from '../token/limit.ts'
import type { OAuthError } from '../token/oauth-error.ts'

/** Who asks for a certificate, and by what: each gives the one SPIFFE ID that it can be for. */
export type Applicant = {
  readonly by: 'join-token' | 'certificate' | 'token' | 'legacy'
  readonly spiffeId: SpiffeId
  /** As records have it. */
  readonly client: string
  /** The certificate ends then at the latest: with the token that it came from. */
  readonly notAfterMs: number
  /** Fingerprint of that token, '' without one. */
  readonly parent: string
  /** Spends what can be used once. */
  readonly spend: () => Soon<Result<void>>
  /** Told of the body, where what the applicant showed covers that. */
  readonly seesBody?: (body: Buffer) => Result<void>
}

/** What the connection and the head of a request show. */
export type ApplicantQuestion = {
  readonly authorization: string | undefined
  /** All of them; several of one name are joined by commas. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** Of the connection, whoever issued it. */
  readonly certificate: X509Certificate | undefined
  readonly peer: Peer
  readonly address: string
  readonly tlsVersion: string
}

export type ApplicantNotes = Pick<ExchangeRecord, 'at' | 'learn' | 'note'>

/** The last that is asked: within the limit of its subject, and allowed by the policy. */
export const mayHaveCertificate = async (
  question: ApplicantQuestion,
  subject: PolicyQuestion['subject'],
  { client, grant }: { readonly client: string; readonly grant: PolicyQuestion['grant'] },
  parts: {
    readonly decide: ExchangePolicy
    readonly limits: { readonly subject: TakeOne | undefined }
  },
  nowMs: number,
  record: ApplicantNotes,
): Promise<Result<void>> => {
  if (grant !== undefined) record.learn({ grant: grant.name })
  record.at('subject limit')
  const inLimit = parts.limits.subject && (await parts.limits.subject(subject.spiffeId))
  if (inLimit !== undefined && !inLimit.ok) return inLimit
  record.at('policy')
  const asked = { client, tokenType: 'x509-svid', audience: '', scopes: [], actor: null } as const
  const { decision, problem } = await decideExchange(
    parts.decide,
    { ...question, path: '/svid/x509', clientSpiffeId: undefined, subject, grant, asked },
    nowMs,
  )
  if (decision !== undefined) record.learn({ policy: decision })
  return problem === undefined ? admitted : { ok: false, problem }
}

/** A refusal in the words of the token endpoint as one of ours. */
export const problemOf = ({
  problem: tag,
  cause,
  retryAfterSeconds,
}: OAuthError): { readonly ok: false; readonly problem: Problem } => ({
  ok: false,
  problem: {
    tag,
    ...(cause === undefined ? {} : { cause }),
    ...(retryAfterSeconds === undefined
      ? {}
      : { headers: { 'retry-after': String(retryAfterSeconds) } }),
  },
})

export const applicant = (
  by: Applicant['by'],
  spiffeId: SpiffeId,
  more: Partial<Applicant> = {},
): Applicant => ({
  by,
  spiffeId,
  client: spiffeId,
  notAfterMs: Infinity,
  parent: '',
  spend: () => admitted,
  ...more,
})
