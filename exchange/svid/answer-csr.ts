import { isoTime, type RandomBytes } from '#contract/clock'
import { pass, refuse, type Result } from '#contract/problem'
import type { X509SvidAnswer } from '#contract/token-exchange'
import type { AuthoritySnapshot } from '../ca/snapshot.ts'
import { publicKeyOfCsr } from '../ca/csr.ts'
import type { IssuedRegister } from '../issued/register.ts'
import type { ExchangeRecord } from '../record.ts'
import type { Applicant } from './application.ts'
import { issueX509Svid } from './x509.ts'

export type AnswerCsrParts = {
  readonly authority: () => AuthoritySnapshot
  readonly lifetimeMs: number
  readonly register: Pick<IssuedRegister, 'add'>
  readonly randomBytes: RandomBytes
}

/** With less life than this a certificate is of no use to anyone. */
const minLifeMs = 30_000
const x509SvidType = 'x509-svid'

/**
 * Answers a certificate signing request: its public key, the applicant's SPIFFE ID, our lifetime, and nothing else that it
 * might ask for. What can be used once is spent only when the request itself is in order.
 *
 * @returns Refuses with `csr-refused`, with what spending refuses with, `token-expires-too-soon`, or `identity-unavailable` while nothing can be signed.
 */
export const answerCsr = async (
  { authority, lifetimeMs, randomBytes, register }: AnswerCsrParts,
  applicant: Applicant,
  csr: Buffer,
  nowMs: number,
  record: Pick<ExchangeRecord, 'at' | 'learn'>,
): Promise<Result<X509SvidAnswer>> => {
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
  const { spiffeId, notAfterMs, parent } = applicant
  if (notAfterMs - nowMs < minLifeMs)
    return refuse('token-expires-too-soon', { detail: 'A certificate lives 30 s at least.' })
  const spent = await applicant.spend()
  if (!spent.ok) return spent
  // Counted from its notBefore, which is in the past: whatever that is, it must not outlive the token it came from.
  const untilMs = Math.min(notAfterMs, issuer.notAfterMs)
  const svid = issueX509Svid(
    { spiffeId, publicKey: publicKey.value, lifetimeMs },
    { ...issuer, notAfterMs: untilMs },
    nowMs,
    randomBytes,
  )
  const kid = issuer.keyId.toString('hex')
  const registered = await register.add({
    id: svid.serial,
    kind: 'x509-svid',
    subject: spiffeId,
    client: applicant.by,
    audience: '',
    kid,
    issuedAtMs: nowMs,
    expiresAtMs: svid.notAfterMs,
    parent,
    fingerprint: '',
  })
  if (registered !== 'registered')
    return refuse(registered === 'unwritable' ? 'audit-unavailable' : 'token-revoked')
  record.learn({
    minted: {
      tokenType: x509SvidType,
      subject: spiffeId,
      audience: '',
      jti: svid.serial,
      kid,
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
