import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { suite, test } from 'node:test'
import { createLocalJWKSet, jwtVerify, type JWK } from 'jose'
import { audience, issuerUrl } from '#test/fakes/issuer-config'
import { newSigningKey, signToken } from '#test/fakes/token-maker'
import { claims, now, nowMs, verifierFor } from './verifier.ts'

const key = newSigningKey('k1')
const { verify, outcome } = await verifierFor([key])
const accepted = new Set(['idp'])

test('a proper token becomes a verified one, at once and frozen', () => {
  const token = signToken(key, claims({ jti: 'j1', aud: ['other', audience], roles: ['a'] }))
  const result = verify(token, accepted, nowMs)
  assert.ok(!(result instanceof Promise) && result.ok)
  assert.deepEqual(result.value, {
    issuerName: 'idp',
    issuer: issuerUrl,
    subject: 'alice',
    audiences: ['other', audience],
    claims: claims({ jti: 'j1', aud: ['other', audience], roles: ['a'] }),
    kid: 'k1',
    jti: 'j1',
    issuedAtMs: (now - 10) * 1000,
    expiresAtMs: (now + 290) * 1000,
    fingerprint: hash('sha256', token.slice(0, token.lastIndexOf('.')), 'base64url'),
    comesAgain: false,
  })
  assert.ok(Object.isFrozen(result.value) && Object.isFrozen(result.value.claims['roles']))
})

suite('each algorithm verifies its own signatures, and jose agrees', async () => {
  const algorithms = ['ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512'] as const
  const more = ['PS256', 'PS384', 'PS512', 'EdDSA'] as const
  for (const alg of [...algorithms, ...more])
    test(alg, async () => {
      const own = newSigningKey('own', alg)
      const verifier = await verifierFor([own], { algorithms: [alg] })
      const token = signToken(own, claims())
      assert.equal(await verifier.outcome(token), 'admitted')
      await jwtVerify(token, createLocalJWKSet({ keys: [own.jwk as JWK] }), {
        currentDate: new Date(nowMs),
      })
      const forged = signToken({ ...newSigningKey('own', alg) }, claims())
      assert.equal(await verifier.outcome(forged), 'token-signature-invalid')
    })
})

test('a refusal tells the caller by RFC 6750 what is wrong, and nothing that it may not know', async () => {
  const result = await verify(signToken(key, claims({ aud: 'elsewhere' })), accepted, nowMs)
  assert.ok(!result.ok)
  const challenge = result.problem.headers?.['WWW-Authenticate']
  assert.match(challenge ?? '', /^Bearer error="invalid_token", error_description="[ -!#-[\]-~]+"$/)
  assert.ok(!JSON.stringify(result.problem).includes(audience), 'the audience wanted is told')
})

suite('times', () => {
  for (const [what, changed, expected] of [
    ['expiring in 6 s', { exp: now + 6 }, 'admitted'],
    ['with less life than is useful', { exp: now + 4 }, 'token-expires-too-soon'],
    ['expiring now', { exp: now }, 'token-expired'],
    ['61 s past its end', { exp: now - 61, iat: now - 100 }, 'token-expired'],
    ['without an end (SPIRE 1.12.3)', { exp: undefined }, 'token-claim-missing'],
    ['ending at a string', { exp: String(now + 100) }, 'token-claim-invalid'],
    ['ending at null', { exp: null }, 'token-claim-invalid'],
    ['ending at a fraction', { exp: now + 100.5 }, 'token-claim-invalid'],
    ['ending at 1e308', { exp: 1e308 }, 'token-claim-invalid'],
    ['ending before 1970', { exp: -1 }, 'token-claim-invalid'],
    ['beginning within the skew', { nbf: now + 30 }, 'admitted'],
    ['beginning later', { nbf: now + 31 }, 'token-not-yet-valid'],
    ['beginning at a negative fraction', { nbf: -0.5 }, 'token-claim-invalid'],
    ['issued within the skew', { iat: now + 30 }, 'admitted'],
    ['issued in the future', { iat: now + 31 }, 'token-not-yet-valid'],
    ['issued after its end', { iat: now + 400 }, 'token-claim-invalid'],
    ['living as long as may be', { iat: now, exp: now + 86_400 }, 'admitted'],
    ['living too long', { iat: now, exp: now + 86_401 }, 'token-lifetime-too-long'],
    ['living too long, no iat', { iat: undefined, exp: now + 86_401 }, 'token-lifetime-too-long'],
    ['living long enough, no iat', { iat: undefined }, 'admitted'],
  ] as const)
    test(`a token ${what} is ${expected}`, async () => {
      assert.equal(await outcome(signToken(key, claims(changed))), expected)
    })

  test('the skew is granted to exp where no remaining life is asked for', async () => {
    const lenient = await verifierFor([key], { minRemainingSeconds: 0, skewSeconds: 60 })
    const late = (seconds: number) => signToken(key, claims({ iat: now - 200, exp: now - seconds }))
    assert.equal(await lenient.outcome(late(59)), 'admitted')
    assert.equal(await lenient.outcome(late(60)), 'token-expired')
  })
})

suite('required claims', async () => {
  const strict = await verifierFor([key], { requiredClaims: ['sub', 'tenant'] })
  for (const [changed, expected] of [
    [{ tenant: 't1' }, 'admitted'],
    [{}, 'token-claim-missing'],
    [{ tenant: null }, 'token-claim-missing'],
    [{ tenant: 't1', sub: undefined }, 'token-claim-missing'],
  ] as const)
    test(`with ${JSON.stringify(changed)} a token is ${expected}`, async () => {
      assert.equal(await strict.outcome(signToken(key, claims(changed))), expected)
    })

  test('sub is required even where the configuration does not say so', async () => {
    const loose = await verifierFor([key], { requiredClaims: [] })
    assert.equal(
      await loose.outcome(signToken(key, claims({ sub: undefined }))),
      'token-claim-missing',
    )
  })
})

suite('the cache', () => {
  test('gives one object for the same bytes from the second time on, and checks the times again', async () => {
    const token = signToken(key, claims({ jti: 'cached' }))
    const first = await verify(token, accepted, nowMs)
    const second = await verify(token, accepted, nowMs)
    const third = await verify(token, accepted, nowMs)
    assert.ok(first.ok && second.ok && third.ok)
    assert.equal(third.value, second.value)
    assert.equal(first.value.comesAgain, false)
    assert.deepEqual(second.value, { ...first.value, comesAgain: true })
    assert.ok(Object.isFrozen(second.value))
    assert.equal(await outcome(token, nowMs + 286_000), 'token-expires-too-soon')
    assert.equal(await outcome(token, nowMs + 290_000), 'token-expired')
    // A clock that was set back: the token is not valid yet, whatever was found before.
    assert.equal(await outcome(token, nowMs - 60_000), 'token-not-yet-valid')
  })

  test('does not admit a false signature over a payload that is in it', async () => {
    const token = signToken(key, claims({ jti: 'payload' }))
    assert.equal(await outcome(token), 'admitted')
    const [header, payload, signature = ''] = token.split('.')
    const flipped = `${signature[0] === 'A' ? 'B' : 'A'}${signature.slice(1)}`
    assert.equal(await outcome(`${header}.${payload}.${flipped}`), 'token-signature-invalid')
    assert.equal(await outcome(token), 'admitted')
  })

  test('does not lend one subject what another one has', async () => {
    for (const sub of ['alice', 'bob', 'alice']) {
      const result = await verify(signToken(key, claims({ sub })), accepted, nowMs)
      assert.equal(result.ok && result.value.subject, sub)
    }
  })

  test('does not serve a route that does not accept the issuer', async () => {
    const token = signToken(key, claims({ jti: 'route' }))
    assert.equal(await outcome(token), 'admitted')
    const elsewhere = await verify(token, new Set(['other']), nowMs)
    assert.equal(elsewhere.ok ? 'admitted' : elsewhere.problem.tag, 'token-issuer-unknown')
  })

  test('lets go of the tokens of a key that its issuer has withdrawn', async () => {
    const [old, next] = [newSigningKey('old'), newSigningKey('new')]
    const verifier = await verifierFor([old], { refreshSeconds: 3600 })
    const token = signToken(old, claims())
    assert.equal(await verifier.outcome(token), 'admitted')
    verifier.publish({ keys: [next.jwk] })
    // The new kid makes the set be read again; the old key is gone with that, and its token, too.
    assert.equal(await verifier.outcome(signToken(next, claims())), 'admitted')
    assert.equal(await verifier.outcome(token), 'token-key-unknown')
  })
})

test('a key that was replaced under the same kid is found, and the old one refused', async () => {
  const [old, next] = [newSigningKey('same'), newSigningKey('same')]
  const verifier = await verifierFor([old], { refreshSeconds: 3600 })
  const token = signToken(old, claims())
  assert.equal(await verifier.outcome(token), 'admitted')
  verifier.publish({ keys: [next.jwk] })
  assert.equal(await verifier.outcome(signToken(next, claims())), 'admitted')
  assert.equal(await verifier.outcome(token), 'token-signature-invalid')
})
