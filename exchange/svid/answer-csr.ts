import { isoTime, type RandomBytes } from '#contract/clock'
import { pass, refuse, type Result } from '#contract/problem'
import type { SpiffeId } from '#contract/spiffe-id'
import type { X509SvidAnswer } from '#contract/token-exchange'
import type { AuthoritySnapshot } from '../ca/snapshot.ts'
import { publicKeyOfCsr } from '../ca/csr.ts'
import type { JoinTokens } from '../join-tokens.ts'
import type { ExchangeRecord } from '../record.ts'
import { issueX509Svid } from './x509.ts'

/** Who asks for a certificate, and by what. Both give the one SPIFFE ID that it can be for. */
export type Applicant =
  | { readonly by: 'join-token'; readonly token: string; readonly spiffeId: SpiffeId }
  | { readonly by: 'certificate'; readonly spiffeId: SpiffeId }

export type AnswerCsrParts = {
  readonly authority: () => AuthoritySnapshot
  readonly joinTokens: JoinTokens
  readonly lifetimeMs: number
  readonly randomBytes: RandomBytes
}

/** With less life than this a certificate is of no use to anyone. */
const minLifeMs = 30_000
const x509SvidType = 'x509-svid'

/**
 * Answers a certificate signing request: its public key, the applicant's SPIFFE ID, our lifetime, and nothing else that it
 * might ask for. A join token is spent only when the request itself is in order.
 *
 * @returns Refuses with `csr-refused`, `join-token-refused`, or `identity-unavailable` while nothing can be signed.
 */
export const answerCsr = (
  { authority, joinTokens, lifetimeMs, randomBytes }: AnswerCsrParts,
  applicant: Applicant,
  csr: Buffer,
  nowMs: number,
  record: Pick<ExchangeRecord, 'at' | 'learn'>,
): Result<X509SvidAnswer> => {
  record.at('csr')
  const publicKey = publicKeyOfCsr(csr)
  if (!publicKey.ok) return publicKey

  record.at('mint')
  const { issuer, rootsPem } = authority()
  if (issuer.notAfterMs - nowMs < minLifeMs)
    return refuse('identity-unavailable', {
      cause: 'the intermediate is over and no other is active',
      headers: { 'retry-after': '10' },
    })
  if (applicant.by === 'join-token' && joinTokens.spend(applicant.token) === undefined)
    return refuse('join-token-refused', { cause: 'it was spent a moment ago' })
  const { spiffeId } = applicant
  const svid = issueX509Svid(
    { spiffeId, publicKey: publicKey.value, lifetimeMs },
    issuer,
    nowMs,
    randomBytes,
  )
  record.learn({
    minted: {
      tokenType: x509SvidType,
      subject: spiffeId,
      audience: '',
      jti: svid.serial,
      kid: issuer.keyId.toString('hex'),
      expiresAt: isoTime(svid.notAfterMs),
      fromCache: false,
    },
  })
  return pass({
    spiffe_id: spiffeId,
    x509_svid: svid.chainPem,
    bundle: rootsPem,
    expires_at: Math.floor(svid.notAfterMs / 1000),
  })
}
