import assert from 'node:assert/strict'
import { generateKeyPairSync, type JsonWebKeyInput } from 'node:crypto'
import { suite, test } from 'node:test'
import { acceptJwkSet } from '#identity/jwt/jwks'
import { isRocaModulus } from '#identity/jwt/roca'
import type { SignatureAlgorithm } from '#identity/jwt/signature-algorithm'
import { newSigningKey } from '#test/fakes/token-maker'

type Jwk = Record<string, unknown>
const ec = newSigningKey('ec').jwk as Jwk
const rsa = newSigningKey('rsa', 'RS256').jwk as Jwk
const accept = (set: unknown, algorithms: readonly SignatureAlgorithm[] = ['ES256', 'RS256']) =>
  acceptJwkSet(Buffer.from(typeof set === 'string' ? set : JSON.stringify(set)), algorithms)
const without = (jwk: Jwk, ...names: readonly string[]): Jwk =>
  Object.fromEntries(Object.entries(jwk).filter(([name]) => !names.includes(name)))
const publicJwk = (
  pair: { publicKey: { export: (form: { format: 'jwk' }) => unknown } },
  more: Jwk,
) => ({ ...(pair.publicKey.export({ format: 'jwk' }) as JsonWebKeyInput['key']), ...more }) as Jwk

test('a proper set gives its keys, each bound to its algorithm', async () => {
  const set = await accept({ keys: [ec, rsa], extra: true })
  assert.ok(set.ok)
  assert.deepEqual(
    [...set.value.keys].map(([kid, key]) => [kid, key.kid, key.algorithm]),
    [
      ['ec', 'ec', 'ES256'],
      ['rsa', 'rsa', 'RS256'],
    ],
  )
  assert.deepEqual(set.value.ignored, [])
})

suite('the whole set is refused', () => {
  for (const [what, set, fault] of [
    ['with no keys', { keys: [] }, /no usable key/],
    ['without a list of keys', { keys: {} }, /no list/],
    ['that is something else', { oops: 1 }, /no list/],
    ['that is an error page', '<html>502</html>', /not JSON/],
    ['that is empty', '', /not JSON/],
    ['that is a list', [ec], /not a JSON object/],
    ['with a member twice', `{"keys":[],"keys":[${JSON.stringify(ec)}]}`, /twice/],
    ['with a key that is no object', { keys: [ec, 'x'] }, /not an object/],
    ['with a kid twice', { keys: [ec, { ...rsa, kid: 'ec' }] }, /two keys/],
    ['with a private key in it', { keys: [rsa, { ...ec, d: ec['x'] }] }, /secret/],
    ['with a symmetric key in it', { keys: [ec, { kty: 'oct', k: 'AA', kid: 's' }] }, /secret/],
    [
      'with 101 keys',
      { keys: Array.from({ length: 101 }, (_, i) => ({ ...ec, kid: `${i}` })) },
      /100/,
    ],
    ['of more than 512 KiB', { keys: [{ ...ec, pad: 'x'.repeat(524_288) }] }, /larger/],
  ] as const)
    test(what, async () => {
      const result = await accept(set)
      assert.ok(!result.ok)
      assert.match(result.fault, fault)
    })
})

suite('a key is left out, and the others stay', () => {
  const rsa1024 = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const exponent3 = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 })
  const p192Like = { ...ec, kid: 'x', crv: 'P-192' }
  const secp256k1 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' })
  const rest = { kid: 'x', alg: 'RS256', use: 'sig' }
  for (const [what, jwk, fault] of [
    ['for encryption', { ...rsa, kid: 'x', use: 'enc' }, undefined],
    ['for another operation', { ...rsa, kid: 'x', key_ops: ['verify', 'sign'] }, undefined],
    ['for SPIFFE', { ...ec, kid: 'x', use: 'jwt-svid' }, undefined],
    ['without kid', without(rsa, 'kid'), /no usable kid/],
    ['with a number as kid', { ...rsa, kid: 7 }, /no usable kid/],
    ['with an algorithm that is not accepted', { ...rsa, kid: 'x', alg: 'RS512' }, /not accepted/],
    ['with an algorithm that is none', { ...ec, kid: 'x', alg: 'none' }, /not accepted/],
    ['of another type than its algorithm', { ...ec, kid: 'x', alg: 'RS256' }, /type or curve/],
    ['of an unknown type', { kty: 'XYZ', kid: 'x' }, /fits no accepted/],
    ['on P-192', p192Like, /type or curve/],
    ['on P-384 for ES256', publicJwk(p384, { kid: 'x', alg: 'ES256' }), /type or curve/],
    ['on secp256k1', publicJwk(secp256k1, { kid: 'x', alg: 'ES256' }), /type or curve/],
    ['with a point off its curve', { ...ec, kid: 'x', y: ec['x'] }, /not a key of its type/],
    ['with a short coordinate', { ...ec, kid: 'x', x: 'AAAA' }, /coordinates/],
    ['with padding in a coordinate', { ...ec, kid: 'x', x: `${String(ec['x'])}=` }, /coordinates/],
    ['of 1024 bits', publicJwk(rsa1024, rest), /1024 bits/],
    ['with exponent 3', publicJwk(exponent3, rest), /exponent/],
    ['with exponent 1', { ...rsa, kid: 'x', e: 'AQ' }, /exponent/],
    [
      'with zeros before its modulus',
      { ...rsa, kid: 'x', n: `AAAA${String(rsa['n'])}` },
      /malformed/,
    ],
  ] as const)
    test(what, async () => {
      const result = await accept({ keys: [jwk, { ...ec, kid: 'good' }] })
      assert.ok(result.ok)
      assert.deepEqual([...result.value.keys.keys()], ['good'])
      if (fault) assert.match(result.value.ignored.join(), fault)
      else assert.deepEqual(result.value.ignored, [])
    })
})

test('a key without alg is for the first algorithm of the issuer that fits it', async () => {
  const bare = without(rsa, 'alg')
  for (const algorithms of [
    ['PS256', 'RS256'],
    ['ES256', 'RS512', 'PS256'],
  ] as const) {
    const result = await accept({ keys: [bare] }, algorithms)
    assert.equal(
      result.ok && result.value.keys.get('rsa')?.algorithm,
      algorithms.find((name) => name !== 'ES256'),
    )
  }
})

test('an ordinary RSA modulus is not taken for one of Infineon', () => {
  const n = Buffer.from(String(rsa['n']), 'base64url').toString('hex')
  assert.equal(isRocaModulus(BigInt(`0x${n}`)), false)
  assert.equal(isRocaModulus(65537n ** 120n), true)
})
