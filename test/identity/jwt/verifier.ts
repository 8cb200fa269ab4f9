import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { systemClock, systemRandomBytes } from '#contract/clock'
import type { Result } from '#contract/problem'
import { noLog, noMeter } from '#contract/telemetry'
import type { Issuer } from '#config/schema'
import { trustedIssuers, type TrustedIssuers } from '#identity/jwt/issuers'
import { tokenVerifier } from '#identity/jwt/verify'
import type { VerifiedToken, VerifyToken } from '#identity/jwt/verified-token'
import { audience, issuerConfig, issuerUrl } from '#test/fakes/issuer-config'
import type { SigningKey } from '#test/fakes/token-maker'

/** The instant at which all checks of a test happen. */
export const nowMs = Date.UTC(2026, 10, 26, 12)
export const now = nowMs / 1000

export type Verifier = {
  readonly verify: VerifyToken
  readonly issuers: TrustedIssuers
  /** What becomes of a token: 'admitted' or the tag of its refusal. */
  readonly outcome: (token: string, atMs?: number) => Promise<string>
  /** Puts other keys where the issuer's are read from. */
  readonly publish: (jwks: unknown) => void
}

/** A verifier whose one issuer, `idp`, has its keys in a file. Ended with the test file. */
export const verifierFor = async (
  keys: readonly SigningKey[],
  changed: Partial<Issuer> = {},
): Promise<Verifier> => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-jwks-'))
  const jwksFile = join(folder, 'jwks.json')
  const publish = (jwks: unknown) => writeFileSync(jwksFile, JSON.stringify(jwks))
  publish({ keys: keys.map(({ jwk }) => jwk) })
  const issuers = trustedIssuers({
    issuers: { idp: issuerConfig({ jwksFile, ...changed }) },
    clock: systemClock,
    randomBytes: systemRandomBytes,
    uptimeMs: () => performance.now(),
    meter: noMeter,
    log: noLog,
  })
  await issuers.start()
  after(() => {
    issuers.close()
    rmSync(folder, { recursive: true })
  })
  const verify = tokenVerifier({ issuers: issuers.byIss, maxTokens: 1000, meter: noMeter })
  const accepted = new Set(['idp'])
  return {
    verify,
    issuers,
    publish,
    outcome: async (token, atMs = nowMs) => outcomeOf(await verify(token, accepted, atMs)),
  }
}

export const outcomeOf = (result: Result<VerifiedToken>): string =>
  result.ok ? 'admitted' : result.problem.tag

/** Claims of a proper token. */
export const claims = (changed: object = {}): Record<string, unknown> => ({
  iss: issuerUrl,
  aud: audience,
  sub: 'alice',
  iat: now - 10,
  exp: now + 290,
  ...changed,
})
