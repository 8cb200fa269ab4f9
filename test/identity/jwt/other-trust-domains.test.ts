import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { systemClock, systemRandomBytes } from '#contract/clock'
import { parseTrustDomain, type TrustDomain } from '#contract/spiffe-id'
import { noLog, noMeter } from '#contract/telemetry'
import { trustedIssuers } from '#identity/jwt/issuers'
import { tokenVerifier } from '#identity/jwt/verify'
import { acceptBundle, type Bundle } from '#identity/svid/bundle'
import { audience, issuerConfig, issuerUrl } from '#test/fakes/issuer-config'
import { newSigningKey, signToken, type SigningKey } from '#test/fakes/token-maker'
import { claims, nowMs, outcomeOf } from './verifier.ts'

const domainOf = (name: string): TrustDomain => {
  const domain = parseTrustDomain(name)
  assert.ok(domain.ok)
  return domain.value
}
const [partner, supplier] = [domainOf('partner.example'), domainOf('supplier.example')]
const [partnerKey, supplierKey] = [newSigningKey('k1'), newSigningKey('k1')]

const bundleWith = async (trustDomain: TrustDomain, keys: readonly SigningKey[]) => {
  const jwks = keys.map(({ jwk }) => ({ ...jwk, use: 'jwt-svid' }))
  const bundle = await acceptBundle(Buffer.from(JSON.stringify({ keys: jwks })), trustDomain)
  assert.ok(bundle.ok)
  return bundle.value
}

const setUp = async () => {
  const bundles = new Map<TrustDomain, Bundle>([
    [partner, await bundleWith(partner, [partnerKey])],
    [supplier, await bundleWith(supplier, [supplierKey])],
  ])
  const of = (name: TrustDomain) =>
    issuerConfig({ platform: 'spiffe', issuer: `spiffe://${name}`, algorithms: ['ES256'] })
  const issuers = trustedIssuers({
    issuers: { partner: of(partner), supplier: of(supplier) },
    federated: { get: (name) => bundles.get(name), status: () => ({}) },
    clock: systemClock,
    randomBytes: systemRandomBytes,
    uptimeMs: () => performance.now(),
    meter: noMeter,
    log: noLog,
  })
  await issuers.start()
  const verify = tokenVerifier({ issuers: issuers.byIss, maxTokens: 100, meter: noMeter })
  const outcome = async (token: string, accepted = ['partner', 'supplier']) =>
    outcomeOf(await verify(token, new Set(accepted), nowMs))
  return { bundles, issuers, outcome }
}

const batch = `spiffe://${partner}/batch`
const { iss: _, ...svid } = claims({ sub: batch })

suite('a JWT-SVID of another trust domain', () => {
  test('is taken with no iss, with one of its own, and with any type that it may have', async () => {
    const { outcome } = await setUp()
    assert.equal(await outcome(signToken(partnerKey, svid)), 'admitted')
    const named = { ...svid, iss: 'https://spire.partner.example' }
    assert.equal(await outcome(signToken(partnerKey, named)), 'admitted')
    for (const typ of [undefined, 'JOSE'])
      assert.equal(await outcome(signToken(partnerKey, svid, { typ })), 'admitted')
    assert.equal(await outcome(signToken(partnerKey, { ...svid, aud: [audience] })), 'admitted')
  })

  const rows: readonly (readonly [string, string, string])[] = [
    ['by the key of another domain', signToken(supplierKey, svid), 'token-signature-invalid'],
    [
      'about a workload of another domain',
      signToken(partnerKey, { ...svid, sub: `spiffe://${supplier}/batch` }),
      'token-signature-invalid',
    ],
    [
      'of a domain that is not named',
      signToken(partnerKey, { ...svid, sub: 'spiffe://other.example/batch' }),
      'token-issuer-unknown',
    ],
    [
      'whose domain begins alike',
      signToken(partnerKey, { ...svid, sub: `spiffe://${partner}.evil/batch` }),
      'token-issuer-unknown',
    ],
    [
      'that names its domain by iss alone',
      signToken(partnerKey, { ...svid, sub: 'batch', iss: `spiffe://${partner}` }),
      'token-issuer-unknown',
    ],
    [
      'that says it is an issuer',
      signToken(partnerKey, { ...svid, sub: 'alice', iss: issuerUrl }),
      'token-issuer-unknown',
    ],
    [
      'about the domain as such',
      signToken(partnerKey, { ...svid, sub: `spiffe://${partner}` }),
      'token-claim-invalid',
    ],
    [
      'in upper case',
      signToken(partnerKey, { ...svid, sub: `SPIFFE://${partner}/batch` }),
      'token-issuer-unknown',
    ],
    [
      'that is an access token',
      signToken(partnerKey, svid, { typ: 'at+jwt' }),
      'token-type-refused',
    ],
    ['whose type is none', signToken(partnerKey, svid, { typ: 'none' }), 'token-type-refused'],
    ['with more in its header', signToken(partnerKey, svid, { cty: 'x' }), 'token-malformed'],
    ['with a key address', signToken(partnerKey, svid, { jku: 'https://x' }), 'token-malformed'],
    ['without kid', signToken(partnerKey, svid, { kid: undefined }), 'token-malformed'],
    ['of an unknown key', signToken(partnerKey, svid, { kid: 'k2' }), 'token-key-unknown'],
    [
      'for another audience',
      signToken(partnerKey, { ...svid, aud: 'https://other.example' }),
      'token-audience-wrong',
    ],
    ['without exp', signToken(partnerKey, { ...svid, exp: undefined }), 'token-claim-missing'],
  ]
  for (const [what, token, tag] of rows)
    test(`${what} is refused: ${tag}`, async () => {
      assert.equal(await (await setUp()).outcome(token), tag)
    })

  test('is nobody where its domain is not accepted, though another is', async () => {
    const { outcome } = await setUp()
    assert.equal(await outcome(signToken(partnerKey, svid), ['supplier']), 'token-issuer-unknown')
  })

  test('gets 503 while there is no bundle, and ends when its key leaves the bundle', async () => {
    const { bundles, issuers, outcome } = await setUp()
    const token = signToken(partnerKey, svid)
    assert.equal(await outcome(token), 'admitted')
    const next = newSigningKey('k2')
    bundles.set(partner, await bundleWith(partner, [next]))
    assert.equal(await outcome(token), 'token-key-unknown')
    assert.equal(await outcome(signToken(next, svid)), 'admitted')
    bundles.delete(partner)
    assert.equal(await outcome(signToken(next, svid)), 'issuer-unavailable')
    assert.equal(issuers.status().get('partner')?.usable, false)
    assert.equal(issuers.status().get('supplier')?.usable, true)
  })
})
