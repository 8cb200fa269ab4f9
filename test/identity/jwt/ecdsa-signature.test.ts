import assert from 'node:assert/strict'
import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { test } from 'node:test'
import { derToP1363, p1363ToDer } from '#identity/jwt/ecdsa-signature'

for (const [curve, bytes] of [
  ['P-256', 32],
  ['P-384', 48],
  ['P-521', 66],
] as const)
  test(`signatures on ${curve} are turned both ways without loss`, () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: curve })
    const data = Buffer.from('data')
    for (let round = 0; round < 100; round++) {
      const der = sign('sha256', data, privateKey)
      const joined = derToP1363(der, bytes)
      const options = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const
      assert.ok(verify('sha256', data, options, joined))
      assert.deepEqual(p1363ToDer(joined, bytes), der)
    }
  })

test('numbers with many zeros before them are as short as DER wants', () => {
  const joined = Buffer.alloc(64)
  joined[31] = 0x80
  joined[63] = 1
  assert.equal(p1363ToDer(joined, 32).toString('hex'), '300702020080020101')
  assert.equal(p1363ToDer(Buffer.alloc(64), 32).toString('hex'), '3006020100020100')
  assert.deepEqual(derToP1363(p1363ToDer(joined, 32), 32), joined)
})
