import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { readCertificate } from '#identity/svid/certificate'
import {
  derBits,
  derBoolean,
  derChildren,
  derObjectIdentifier,
  derOf,
  derTag,
  derTime,
  derUnsigned,
  readingDer,
  type Der,
} from '#identity/svid/der'
import { writeBits, writeDer, writeObjectIdentifier, writeSequence } from '#identity/svid/der-write'
import { makeRoot, makeSvid } from '#test/fakes/openssl'

const bytes = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex')
const read = <T>(hex: string, tag: number, reader: (element: Der) => T) =>
  readingDer(() => reader(derOf(bytes(hex), tag)))

suite('only one spelling of an element is read', () => {
  for (const [what, hex] of [
    ['nothing', ''],
    ['a tag alone', '30'],
    ['a length that is not there', '3081'],
    ['content that is cut off', '3003 0201'],
    ['an indefinite length', '3080 0201 01 0000'],
    ['a long length where a short one does', '3081 03 020101'],
    ['a length of two bytes where one does', '3082 0080' + '00'.repeat(128)],
    ['a length of four bytes', '3084 00000003 020101'],
    ['something after it', '3003 020101 00'],
    ['a tag of two bytes', '3f8101 00'],
    ['another tag', '3103 020101'],
    ['a child that reaches beyond its parent', '3003 0204 01'],
  ] as const)
    test(`${what} is refused`, () => {
      assert.equal(read(hex, derTag.sequence, derChildren).ok, false)
    })

  for (const [what, reader, tag, good, ...bad] of [
    ['integers', derUnsigned, 0x02, '0201 7f', '0200', '0201 80', '0202 0001', '0203 000080'],
    ['booleans', derBoolean, 0x01, '0101 ff', '0101 01', '0100', '0102 ff00'],
    ['bits', derBits, 0x03, '0302 0780', '0302 0781', '0302 0880', '0301 07', '0300'],
    ['identifiers', derObjectIdentifier, 0x06, '0603 551d0f', '0600', '0603 558001', '0602 5581'],
  ] as const)
    test(`${what} have one form`, () => {
      assert.ok(read<unknown>(good, tag, reader).ok)
      for (const hex of bad) assert.equal(read<unknown>(hex, tag, reader).ok, false, hex)
    })
})

suite('times', () => {
  const timeOf = (tag: number, text: string) =>
    readingDer(() => derTime(derOf(writeDer(tag, Buffer.from(text)), tag)))
  for (const [tag, text, expected] of [
    [0x17, '261126120000Z', Date.UTC(2026, 10, 26, 12)],
    [0x17, '491231235959Z', Date.UTC(2049, 11, 31, 23, 59, 59)],
    [0x17, '500101000000Z', Date.UTC(1950, 0, 1)],
    [0x18, '20500101000000Z', Date.UTC(2050, 0, 1)],
    [0x18, '99991231235959Z', Date.UTC(9999, 11, 31, 23, 59, 59)],
    [0x17, '2611261200Z', undefined],
    [0x17, '261126120000+0100', undefined],
    [0x17, '260230120000Z', undefined],
    [0x17, '261126240000Z', undefined],
    [0x18, '20500101000000.5Z', undefined],
    [0x18, '20501301000000Z', undefined],
    [0x04, '20500101000000Z', undefined],
  ] as const)
    test(`${text} is ${expected === undefined ? 'refused' : 'read'}`, () => {
      const time = timeOf(tag, text)
      assert.equal(time.ok ? time.value : undefined, expected)
    })
})

suite('what is written', () => {
  test('is read again, whatever its length', () => {
    for (const length of [0, 1, 127, 128, 255, 256, 65_535, 65_536]) {
      const content = Buffer.alloc(length, 1)
      const element = readingDer(() => derOf(writeDer(derTag.octetString, content), 0x04))
      assert.ok(element.ok && element.value.content.equals(content), String(length))
    }
  })
  test('identifiers and bits come back as they were', () => {
    for (const dotted of ['1.2.840.10045.4.3.2', '2.5.29.17', '2.999.1', '0.9.2342'])
      assert.deepEqual(
        readingDer(() => derObjectIdentifier(derOf(writeObjectIdentifier(dotted), 0x06))),
        { ok: true, value: dotted },
      )
    const bits = readingDer(() => derBits(derOf(writeBits(bytes('c0ffee')), 0x03)))
    assert.ok(bits.ok && bits.value.equals(bytes('c0ffee')))
    assert.equal(writeSequence().toString('hex'), '3000')
  })
})

suite('anything at all', () => {
  const svid = makeSvid(makeRoot('mesh.example'), 'spiffe://mesh.example/a').der
  test('is read or refused, and never breaks the reader', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (random) => {
        assert.equal(readCertificate(Buffer.from(random)).ok, false)
      }),
      { numRuns: 1000 },
    )
    let read = 0
    fc.assert(
      fc.property(fc.nat(svid.length - 1), fc.nat(255), (at, value) => {
        const changed = Buffer.from(svid)
        changed[at] = value
        if (readCertificate(changed).ok) read++
      }),
      { numRuns: 2000 },
    )
    assert.ok(read > 0, 'no changed certificate could be read: nothing was tried')
    for (let length = 0; length < svid.length; length++)
      assert.equal(readCertificate(svid.subarray(0, length)).ok, false)
    assert.ok(readCertificate(svid).ok)
  })
})
