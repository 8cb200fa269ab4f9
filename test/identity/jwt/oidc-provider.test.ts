import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { systemClock, systemRandomBytes } from '#contract/clock'
import { noLog, noMeter } from '#contract/telemetry'
import { trustedIssuers } from '#identity/jwt/issuers'
import { tokenVerifier } from '#identity/jwt/verify'
import { audience, issuerConfig } from '#test/fakes/issuer-config'
import { runOidcIssuer } from '#test/fakes/oidc-issuer'
import { outcomeOf } from './verifier.ts'

const provider = await runOidcIssuer(audience)
const folder = mkdtempSync(join(tmpdir(), 'sallyport-oidc-'))
const caFile = join(folder, 'ca.pem')
writeFileSync(caFile, provider.ca)
const trusted = trustedIssuers({
  issuers: {
    op: issuerConfig({ issuer: provider.issuer, caFile, requiredClaims: ['sub', 'client_id'] }),
  },
  clock: systemClock,
  randomBytes: systemRandomBytes,
  uptimeMs: () => performance.now(),
  meter: noMeter,
  log: noLog,
})
after(async () => {
  trusted.close()
  await provider.close()
  rmSync(folder, { recursive: true })
})
await trusted.start()
const verify = tokenVerifier({ issuers: trusted.byIss, maxTokens: 100, meter: noMeter })
const accepted = new Set(['op'])
const check = async (token: string) => verify(token, accepted, systemClock())

test('a token of a certified OpenID provider is verified with keys found by discovery', async () => {
  const result = await check(await provider.token())
  assert.ok(result.ok, JSON.stringify(result))
  assert.equal(result.value.issuer, provider.issuer)
  assert.equal(result.value.subject, 'test')
  assert.deepEqual(result.value.audiences, [audience])
  assert.ok(result.value.jti)
})

test('while it rotates its keys three times not one request is refused', async () => {
  const fetchesBefore = provider.keyFetches()
  const outcomes: Record<string, number> = {}
  let tokens = [await provider.token()]
  const over = new AbortController()
  const callers = Array.from({ length: 4 }, async () => {
    while (!over.signal.aborted) {
      for (const token of tokens) {
        const outcome = outcomeOf(await check(token))
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
  })
  for (let rotation = 0; rotation < 3; rotation++) {
    provider.rotate()
    // The key before is still published; the one before that is not, and neither are its tokens presented any more.
    tokens = [...tokens.slice(-1), await provider.token()]
    assert.equal(outcomeOf(await check(tokens.at(-1) ?? '')), 'admitted')
  }
  over.abort()
  await Promise.all(callers)
  assert.deepEqual(Object.keys(outcomes), ['admitted'])
  assert.ok((outcomes['admitted'] ?? 0) > 20)
  assert.equal(provider.keyFetches() - fetchesBefore, 3)
})
