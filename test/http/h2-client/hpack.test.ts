import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fieldMemo } from '#http/h2-client/field-memo'
import { type BlockLimits, decodeBlock } from '#http/h2-client/hpack-decode'
import { encodeInteger, encodeLiteralName, encodeString } from '#http/h2-client/hpack-encode'
import { huffmanDecode, huffmanEncode, huffmanLength } from '#http/h2-client/huffman'
import { staticTable } from '#http/h2-client/static-table'

type Case = {
  readonly section?: string
  readonly story?: string
  readonly wire: string
  readonly headers: readonly (readonly [string, string])[]
}
const vectors = (name: string): readonly Case[] =>
  JSON.parse(readFileSync(new URL(`../../fixtures/hpack/${name}`, import.meta.url), 'utf8')).cases

const wide: BlockLimits = { maxHeaderListBytes: 65_536, maxFields: 1_000 }
const decode = (hex: string, limits = wide, memo = fieldMemo()) => {
  // Within a larger buffer, as it is when it arrives.
  const bytes = Buffer.from(`ffff${hex}ffff`, 'hex')
  return decodeBlock(bytes, 2, bytes.length - 2, limits, memo)
}

/** Those whose meaning depends on an earlier block; with our table of size 0 no peer may send them. */
const needDynamicTable = new Set([
  'C.3.2',
  'C.3.3',
  'C.4.2',
  'C.4.3',
  'C.5.2',
  'C.5.3',
  'C.6.2',
  'C.6.3',
])

for (const { section = '', wire, headers } of vectors('rfc7541-appendix-c.json'))
  if (needDynamicTable.has(section))
    test(`RFC 7541 ${section}, which leans on a dynamic table, is refused`, () =>
      assert.equal(decode(wire), 'compression'))
  else test(`RFC 7541 ${section} is decoded`, () => assert.deepEqual(decode(wire), headers.flat()))

test('stories of other implementations are decoded, the first and the second time', () => {
  const cases = vectors('http2jp-stateless.json')
  const memo = fieldMemo()
  for (let time = 0; time < 2; time++)
    for (const { story, wire, headers } of cases) {
      const decoded = decode(wire, wide, memo)
      const isMalformed = headers.some(([name]) =>
        ['connection', 'keep-alive', 'transfer-encoding', 'proxy-connection'].includes(name),
      )
      if (isMalformed) assert.equal(decoded, 'malformed', story)
      else assert.deepEqual(decoded, headers.flat(), story)
    }
  assert.ok(cases.length > 100, String(cases.length))
})

test('the Huffman code is that of the RFC, both ways', () => {
  const examples = [
    ['www.example.com', 'f1e3c2e5f23a6ba0ab90f4ff'],
    ['no-cache', 'a8eb10649cbf'],
    ['custom-key', '25a849e95ba97d7f'],
    ['custom-value', '25a849e95bb8e8b4bf'],
    ['302', '6402'],
    ['Mon, 21 Oct 2013 20:13:21 GMT', 'd07abe941054d444a8200595040b8166e082a62d1bff'],
    [
      'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
      '94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
    ],
    ['', ''],
  ] as const
  for (const [text, hex] of examples) {
    const bytes = Buffer.from(hex, 'hex')
    assert.equal(Buffer.from(huffmanEncode(text), 'latin1').toString('hex'), hex)
    assert.equal(huffmanDecode(bytes, 0, bytes.length), text)
    assert.equal(huffmanLength(text), bytes.length)
  }
})

test('every octet survives the Huffman code, alone and beside every other', () => {
  for (let first = 0; first < 256; first++)
    for (let second = 0; second < 256; second += 5) {
      const text = String.fromCharCode(first, second, first)
      const bytes = Buffer.from(huffmanEncode(text), 'latin1')
      assert.equal(huffmanDecode(bytes, 0, bytes.length), text)
      assert.equal(huffmanLength(text), bytes.length)
    }
})

test('integers of RFC 7541 C.1', () => {
  const hex = (octets: string) => Buffer.from(octets, 'latin1').toString('hex')
  assert.equal(hex(encodeInteger(10, 5, 0)), '0a')
  assert.equal(hex(encodeInteger(1337, 5, 0)), '1f9a0a')
  assert.equal(hex(encodeInteger(42, 8, 0)), '2a')
})

test('strings of every length near a boundary come back', () => {
  for (const length of [0, 1, 126, 127, 128, 254, 255, 256, 16_510, 16_511, 30_000]) {
    const value = 'v'.repeat(length)
    const block = encodeLiteralName('x-a') + encodeString(value)
    const decoded = decode(Buffer.from(block, 'latin1').toString('hex'))
    assert.deepEqual(decoded, ['x-a', value])
  }
})

test('the static table has its 61 entries, and each is decoded or, if no message may have it, refused', () => {
  assert.equal(staticTable.length, 61)
  for (const [at, field] of staticTable.entries()) {
    const decoded = decode((0x80 + at + 1).toString(16))
    assert.deepEqual(decoded, field[0] === 'transfer-encoding' ? 'malformed' : field)
  }
})

test('what is secret is marked as never to be indexed', () => {
  for (const name of ['authorization', 'cookie', 'txn-token'])
    assert.equal(encodeLiteralName(name).charCodeAt(0) & 0xf0, 0x10, name)
  assert.equal(encodeLiteralName('accept').charCodeAt(0) & 0xf0, 0)
})

test('a list is refused at its limits and not before', () => {
  const hex = (count: number) => '0001610162'.repeat(count)
  const limits = { maxHeaderListBytes: 34 * 10, maxFields: 10 }
  assert.equal(decode(hex(10), limits).length, 20)
  assert.equal(decode(hex(11), { ...limits, maxFields: 11 }), 'too-large')
  assert.equal(decode(hex(11), { ...limits, maxHeaderListBytes: 1_000 }), 'too-large')
})

test('a memo never gives another field than the one that is asked for', () => {
  const memo = fieldMemo()
  for (let at = 0; at < 5_000; at++) {
    const value = String(at * 7_919)
    const block = `\0\x01a${String.fromCharCode(value.length)}${value}`
    const hex = Buffer.from(block, 'latin1').toString('hex')
    assert.deepEqual(decode(hex, wide, memo), ['a', value])
    assert.deepEqual(decode(hex, wide, memo), ['a', value])
  }
})
