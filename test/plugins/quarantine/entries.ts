import { randomBytes } from 'node:crypto'
import type { QuarantineEntry, QuarantineSelector, WhereFrom, WhoCalls } from '#contract/quarantine'

export const entryAbout = (
  by: QuarantineSelector,
  more: Partial<QuarantineEntry> = {},
): QuarantineEntry => ({
  id: randomBytes(8).toString('hex'),
  by,
  reason: 'its laptop was stolen',
  actor: 'ops@example.com',
  createdAt: new Date().toISOString(),
  ...more,
})

/** A caller of whom nothing is cut off. */
export const caller = (more: Partial<WhoCalls> = {}): WhoCalls => ({
  issuerName: 'staff',
  issuer: 'https://login.example',
  subject: 'ann',
  kid: 'key-1',
  jti: 'token-1',
  issuedAtMs: 1_000_000,
  spiffeId: 'spiffe://mesh.example/people/ann',
  ...more,
})

export const place = (more: Partial<WhereFrom> = {}): WhereFrom => {
  const address = more.address ?? '203.0.113.9'
  return { address, peerAddress: address, certificateSha256: undefined, route: 'orders', ...more }
}
