import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keyedHash } from '#plugins/rate-limit/keyed-hash'

// HalfSipHash-2-4, key 00..07, message 00 01 02 …: https://github.com/veorq/SipHash vectors.h (CC0), even lengths.
const vectors = {
  0: 0x5b9f35a9,
  2: 0x03a662fa,
  4: 0x89466e2a,
  6: 0x23fc6358,
  8: 0x8f84b8d0,
  32: 0x1221e7fe,
  62: 0x7a9983bd,
} as const

for (const [length, expected] of Object.entries(vectors))
  test(`the hash of ${length} bytes is that of the reference`, () => {
    const message = Buffer.from(Array.from({ length: Number(length) }, (_, i) => i))
    assert.equal(
      keyedHash(Buffer.from('0001020304050607', 'hex'))(message.toString('utf16le')),
      expected,
    )
  })
