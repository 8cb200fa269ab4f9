import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { answerDecoder } from '#http/h2-client/answer-decoder'
import { fieldMemo } from '#http/h2-client/field-memo'
import { frameReader } from '#http/h2-client/frame-reader'
import { decodeBlock } from '#http/h2-client/hpack-decode'
import { encodeLiteralName, encodeShortest, encodeString } from '#http/h2-client/hpack-encode'
import { answerLimits } from '#http/h2-client/options'
import { field, frame, status200 } from '../../http/h2-client/scripted-peer.ts'

const octets = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes))
const limits = { maxHeaderListBytes: 32_768, maxFields: 200 }

test('any octets are a field block or a fault, and the same one the second time', () => {
  const memo = fieldMemo()
  const decoder = answerDecoder(answerLimits)
  fc.assert(
    fc.property(octets(300), (bytes) => {
      const fresh = decodeBlock(bytes, 0, bytes.length, limits, fieldMemo())
      assert.deepEqual(decodeBlock(bytes, 0, bytes.length, limits, memo), fresh)
      assert.deepEqual(decodeBlock(bytes, 0, bytes.length, limits, memo), fresh)
      const block = decoder(bytes, 0, bytes.length)
      assert.deepEqual(decoder(bytes, 0, bytes.length), block)
      assert.ok(
        typeof block === 'object' || ['compression', 'malformed', 'too-large'].includes(block),
      )
    }),
    { numRuns: 5_000 },
  )
})

test('a block with one octet changed or cut off is never more than a fault', () => {
  const block =
    status200 +
    field('content-type', 'text/html') +
    encodeLiteralName('etag') +
    encodeShortest('"abcdef"')
  const whole = Buffer.from(block, 'latin1')
  let faults = 0
  for (let at = 0; at < whole.length; at++)
    for (let value = 0; value < 256; value++) {
      const bytes = Buffer.from(whole)
      bytes[at] = value
      if (typeof decodeBlock(bytes, 0, bytes.length, limits, fieldMemo()) === 'string') faults++
      decodeBlock(whole, 0, at, limits, fieldMemo())
    }
  assert.ok(faults > 1_000, `${faults} faults`)
})

test('whatever fields are encoded come back, whole and Huffman-coded', () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/).map((text) => `x-${text}`)
  const value = fc.stringMatching(/^([!-~\xa1-\xff]([ -~\xa1-\xff]{0,200}[!-~\xa1-\xff])?)?$/)
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value, fc.boolean()), { maxLength: 20 }), (fields) => {
      const block = fields
        .map(
          ([name, value, short]) =>
            encodeLiteralName(name) + (short ? encodeShortest : encodeString)(value),
        )
        .join('')
      const bytes = Buffer.from(block, 'latin1')
      const expected = fields.flatMap(([name, value]) => [name, value])
      assert.deepEqual(decodeBlock(bytes, 0, bytes.length, limits, fieldMemo()), expected)
    }),
    { numRuns: 500 },
  )
})

test('frames are the same however they are cut', () => {
  const someFrame = fc
    .tuple(fc.nat(255), fc.nat(255), fc.nat(2 ** 31 - 1), octets(60))
    .map(([type, flags, id, payload]) => frame(type, flags, id, payload.toString('latin1')))
  const read = (parts: readonly Buffer[]) => {
    const got: unknown[] = []
    const reader = frameReader(
      64,
      (type, flags, id, bytes, start, end) =>
        void got.push([type, flags, id, bytes.toString('latin1', start, end)]),
      () => true,
    )
    // One buffer for all, as `onread` has it: what is kept must have been copied.
    const shared = Buffer.alloc(10_000)
    for (const part of parts) {
      part.copy(shared)
      assert.equal(reader.read(shared.subarray(0, part.length)), true)
    }
    return got
  }
  fc.assert(
    fc.property(
      fc.array(someFrame, { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
      (frames, sizes) => {
        const bytes = Buffer.from(frames.join(''), 'latin1')
        const parts: Buffer[] = []
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1
          parts.push(bytes.subarray(at, at + size))
          at += size
        }
        const expected = read([bytes])
        assert.equal(expected.length, frames.length)
        assert.deepEqual(read(parts), expected)
      },
    ),
    { numRuns: 500 },
  )
})
