import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { suite, test } from 'node:test'
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify, type JSONWebKeySet } from 'jose'
import { signAccessToken, signJwtSvid, type TokenContent } from '#exchange/svid/jwt'
import { alice, gateway, openTestAuthority, orders } from '../fixtures.ts'

const issuedAtSeconds = Math.floor(Date.now() / 1000)
const content: TokenContent = {
  issuer: 'https://exchange.example:8444',
  subject: alice,
  audience: orders,
  issuedAtSeconds,
  expiresAtSeconds: issuedAtSeconds + 300,
}
const authority = await openTestAuthority()
const { tokenKey, jwks } = authority.current()
const keySet = createLocalJWKSet(JSON.parse(jwks.body) as JSONWebKeySet)

suite('a JWT-SVID', () => {
  test('verifies by the published keys with jose and says what was granted', async () => {
    const { token, jti, kid } = signJwtSvid(content, tokenKey, randomBytes)
    const { payload, protectedHeader } = await jwtVerify(token, keySet, {
      algorithms: ['ES256'],
      issuer: content.issuer,
      audience: orders,
      subject: alice,
    })
    assert.deepEqual(protectedHeader, { alg: 'ES256', kid, typ: 'JWT' })
    assert.deepEqual(payload, {
      iss: content.issuer,
      sub: alice,
      aud: orders,
      iat: issuedAtSeconds,
      exp: issuedAtSeconds + 300,
      jti,
    })
    assert.equal(jti.length, 22)
  })

  test('verifies whatever the length of r and s', async () => {
    let shortened = 0
    for (let i = 0; i < 200 || (shortened === 0 && i < 5000); i++) {
      const { token } = signJwtSvid(content, tokenKey, randomBytes)
      const signature = Buffer.from(token.split('.')[2] ?? '', 'base64url')
      assert.equal(signature.length, 64)
      if (signature[0] === 0 || signature[32] === 0) shortened++
      await jwtVerify(token, keySet)
    }
    assert.ok(shortened > 0, 'no short integer came up')
  })

  test('no two have one jti', () => {
    const seen = new Set<string>()
    for (let i = 0; i < 100; i++) seen.add(signJwtSvid(content, tokenKey, randomBytes).jti)
    assert.equal(seen.size, 100)
  })
})

suite('an access token', () => {
  test('verifies as at+jwt and names the client; so it is no JWT-SVID', async () => {
    const { token } = signAccessToken(content, gateway, tokenKey, randomBytes)
    const { payload } = await jwtVerify(token, keySet, {
      typ: 'at+jwt',
      audience: orders,
      requiredClaims: ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti'], // RFC 9068 §2.2
    })
    assert.equal(payload['client_id'], gateway)
    assert.equal(decodeProtectedHeader(token).typ, 'at+jwt')
  })
})
