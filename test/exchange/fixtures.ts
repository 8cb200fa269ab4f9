import { randomBytes } from 'node:crypto'
import {
  parseSpiffeId,
  parseTrustDomain,
  type SpiffeId,
  type TrustDomain,
} from '#contract/spiffe-id'
import type { VerifiedToken } from '#identity/jwt/verified-token'
import { openAuthority, type Authority } from '#exchange/ca/authority'
import type { Besides } from '#exchange/ca/besides'
import type { InspectionKeyMaking, KeyLifetimes } from '#exchange/ca/make-keys'
import { generateP256, type P256KeyPair } from '#exchange/ca/p256'
import type { KeyStore } from '#exchange/keys/key-store'
import { memoryKeyStore } from '#exchange/keys/memory'
import { issueX509Svid, type IssuedX509Svid } from '#exchange/svid/x509'

export const hourMs = 3_600_000
export const dayMs = 24 * hourMs

export const spiffeId = (text: string): SpiffeId => {
  const parsed = parseSpiffeId(text)
  if (!parsed.ok) throw new TypeError(text)
  return parsed.value
}

const domain = parseTrustDomain('mesh.example')
if (!domain.ok) throw new TypeError('trust domain')
export const trustDomain: TrustDomain = domain.value

export const gateway = spiffeId('spiffe://mesh.example/gateway')
export const exchangeId = spiffeId('spiffe://mesh.example/exchange')
export const alice = spiffeId('spiffe://mesh.example/user/alice')
export const orders = 'spiffe://mesh.example/service/orders'

export const lifetimes: KeyLifetimes = {
  rootMs: 365 * dayMs,
  intermediateMs: 7 * dayMs,
  jwtKeyMs: dayMs,
  longestX509SvidMs: hourMs,
  longestTokenMs: 300_000,
}

/** A clock that stands until it is set. */
export const fakeClock = (startMs = Date.UTC(2026, 10, 25, 12)) => {
  let nowMs = startMs
  return {
    clock: () => nowMs,
    pass: (ms: number) => {
      nowMs += ms
    },
  }
}

export const openTestAuthority = (
  clock: () => number = Date.now,
  more: {
    store?: KeyStore
    lifetimes?: Partial<KeyLifetimes>
    inspection?: InspectionKeyMaking
    besides?: () => Besides
  } = {},
): Promise<Authority> =>
  openAuthority({
    store: more.store ?? memoryKeyStore(),
    trustDomain,
    lifetimes: { ...lifetimes, ...more.lifetimes },
    inspection: more.inspection,
    ...(more.besides ? { besides: more.besides } : {}),
    clock,
    randomBytes,
  })

/** A certificate of this authority with its key, as PEM. */
export const svidOf = async (
  authority: Authority,
  id: SpiffeId,
  more: { dnsNames?: string[]; ipAddresses?: string[]; nowMs?: number; lifetimeMs?: number } = {},
): Promise<IssuedX509Svid & P256KeyPair & { readonly keyPem: string }> => {
  const pair = await generateP256()
  const { nowMs = Date.now(), lifetimeMs = hourMs, ...names } = more
  const svid = issueX509Svid(
    { spiffeId: id, publicKey: pair.publicKey, lifetimeMs, ...names },
    authority.current().issuer,
    nowMs,
    randomBytes,
  )
  const keyPem = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  return { ...svid, ...pair, keyPem }
}

/** A token as `verify` gives it. */
export const verifiedToken = (more: Partial<VerifiedToken> = {}): VerifiedToken => ({
  issuerName: 'corp',
  issuer: 'https://idp.example',
  subject: 'alice',
  audiences: ['edge'],
  claims: { sub: 'alice' },
  kid: 'k1',
  jti: 'j1',
  issuedAtMs: Date.now() - 1000,
  expiresAtMs: Date.now() + 600_000,
  fingerprint: 'f'.repeat(43),
  comesAgain: false,
  ...more,
})
