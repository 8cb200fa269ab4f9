import { isoTime, type RandomBytes } from '#contract/clock'
import { hostMatcher } from '#contract/match-host'
import { pass, refuse, type Result } from '#contract/problem'
import type { SpiffeId } from '#contract/spiffe-id'
import type { InspectionLeafAnswer } from '#contract/token-exchange'
import type { AuthoritySnapshot } from '../ca/snapshot.ts'
import { publicKeyOfCsr } from '../ca/csr.ts'
import { inspectionIssuer } from '../ca/inspection-turns.ts'
import type { IssuedRegister } from '../issued/register.ts'
import type { ExchangeRecord } from '../record.ts'
import { issueInspectionLeaf } from './issue-leaf.ts'

export type AnswerLeafParts = {
  readonly authority: () => AuthoritySnapshot
  /** Patterns of the hosts that may be asked for. */
  readonly hosts: readonly string[]
  readonly lifetimeMs: number
  readonly register: Pick<IssuedRegister, 'add'>
  readonly randomBytes: RandomBytes
}

const hostPattern =
  /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/
/** With less life than this a certificate is of no use to anyone. */
const minLifeMs = 30_000
const leafKind = 'inspection-leaf'

/**
 * Makes what signs for gateways that look into TLS: for hosts that this configuration names, whatever a gateway's own says.
 *
 * @returns A function that refuses with `inspection-refused`, `csr-refused`, `audit-unavailable`, or `identity-unavailable`
 *   while nothing can be signed.
 */
export const leafAnswerer = ({
  authority,
  hosts,
  lifetimeMs,
  register,
  randomBytes,
}: AnswerLeafParts) => {
  const matchers = hosts.map(hostMatcher)
  return async (
    gateway: SpiffeId,
    host: unknown,
    csr: Buffer,
    nowMs: number,
    record: Pick<ExchangeRecord, 'at' | 'learn'>,
  ): Promise<Result<InspectionLeafAnswer>> => {
    record.at('host')
    if (typeof host !== 'string' || !hostPattern.test(host))
      return refuse('inspection-refused', { detail: 'host must be one host name, in lower case.' })
    if (!matchers.some((matches) => matches(host)))
      return refuse('inspection-refused', {
        detail: 'inspection.hosts of the exchange does not list this host.',
        cause: host,
      })
    record.at('csr')
    const publicKey = publicKeyOfCsr(csr)
    if (!publicKey.ok) return publicKey

    record.at('mint')
    const { inspectionCas } = authority().keys
    const ca = inspectionCas && inspectionIssuer(inspectionCas, host)
    if (!ca || ca.notAfterMs - nowMs < minLifeMs)
      return refuse('identity-unavailable', {
        cause: 'no CA of inspected hosts can sign for this one',
        headers: { 'retry-after': '10' },
      })
    const leaf = issueInspectionLeaf(
      { host, publicKey: publicKey.value, lifetimeMs },
      ca,
      nowMs,
      randomBytes,
    )
    const registered = await register.add({
      id: leaf.serial,
      kind: leafKind,
      subject: gateway,
      client: gateway,
      audience: host,
      kid: ca.id,
      issuedAtMs: nowMs,
      expiresAtMs: leaf.notAfterMs,
      parent: '',
      fingerprint: '',
    })
    if (registered !== 'registered') return refuse('audit-unavailable')
    record.learn({
      minted: {
        tokenType: leafKind,
        subject: gateway,
        audience: host,
        jti: leaf.serial,
        kid: ca.id,
        expiresAt: isoTime(leaf.notAfterMs),
        fromCache: false,
      },
    })
    return pass({ certificate: leaf.certificatePem, expires_at: leaf.notAfterMs / 1000 })
  }
}
