import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { suite, test } from 'node:test'
import { promisify } from 'node:util'
import { publicKeyOfCsr } from '#exchange/ca/csr'
import { contextTag, derTag } from '#identity/svid/der'
import { writeBits, writeDer, writeObjectIdentifier, writeSequence } from '#identity/svid/der-write'
import { createCsr } from '#identity/svid/csr'
import { pemOf } from '#identity/svid/pem'
import { findTool, without } from '#test/tools'

const run = promisify(execFile)
const openssl = findTool('openssl')

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const spkiOf = (key: KeyObject) => createPublicKey(key).export({ type: 'spki', format: 'der' })
const ecdsaWithSha256 = writeSequence(writeObjectIdentifier('1.2.840.10045.4.3.2'))
const integer = (...bytes: number[]) => writeDer(derTag.integer, Buffer.from(bytes))
const noAttributes = writeDer(contextTag(0, 'constructed'))

type Parts = {
  version?: Buffer
  subject?: Buffer
  spki?: Buffer
  attributes?: Buffer
  more?: Buffer
  algorithm?: Buffer
  signature?: (info: Buffer) => Buffer
  after?: Buffer
}
/** A request that is right but for what is given. */
const csr = (parts: Parts = {}): Buffer => {
  const info = writeSequence(
    parts.version ?? integer(0),
    parts.subject ?? writeSequence(),
    parts.spki ?? spkiOf(privateKey),
    parts.attributes ?? noAttributes,
    parts.more ?? Buffer.alloc(0),
  )
  const signature = parts.signature?.(info) ?? writeBits(sign('sha256', info, privateKey))
  return writeSequence(
    info,
    parts.algorithm ?? ecdsaWithSha256,
    signature,
    parts.after ?? Buffer.alloc(0),
  )
}

const named = (text: string) =>
  writeSequence(
    writeDer(
      0x31,
      writeSequence(writeObjectIdentifier('2.5.4.3'), writeDer(0x0c, Buffer.from(text))),
    ),
  )
/** [0] { SEQUENCE { extensionRequest, SET { SEQUENCE { SEQUENCE { id, OCTET STRING } } } } } */
const asking = (id: string, value: Buffer) =>
  writeDer(
    contextTag(0, 'constructed'),
    writeSequence(
      writeObjectIdentifier('1.2.840.113549.1.9.14'),
      writeDer(
        0x31,
        writeSequence(
          writeSequence(writeObjectIdentifier(id), writeDer(derTag.octetString, value)),
        ),
      ),
    ),
  )
const san = (tag: number, content: string) =>
  asking('2.5.29.17', writeSequence(writeDer(tag, Buffer.from(content, 'latin1'))))

const point = spkiOf(privateKey).subarray(27)
const ecSpki = (parameters: Buffer, bits: Buffer) =>
  writeSequence(
    writeSequence(writeObjectIdentifier('1.2.840.10045.2.1'), parameters),
    writeBits(bits),
  )
const p256 = writeObjectIdentifier('1.2.840.10045.3.1.7')
const compressed = Buffer.concat([
  Buffer.from([2 + ((point.at(-1) ?? 0) & 1)]),
  point.subarray(0, 32),
])
const explicitParameters = () => {
  const octets = (hex: string) => writeDer(derTag.octetString, Buffer.from(hex, 'hex'))
  const number = (hex: string) => writeDer(derTag.integer, Buffer.from(hex, 'hex'))
  return writeSequence(
    integer(1),
    writeSequence(
      writeObjectIdentifier('1.2.840.10045.1.1'),
      number('00ffffffff00000001000000000000000000000000ffffffffffffffffffffffff'),
    ),
    writeSequence(
      octets('ffffffff00000001000000000000000000000000fffffffffffffffffffffffc'),
      octets('5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b'),
    ),
    octets(
      '046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5',
    ),
    number('00ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'),
    integer(1),
  )
}
const wrongSignature = (info: Buffer) =>
  writeBits(sign('sha256', Buffer.concat([info, info]), privateKey))
const pair = (type: 'p384' | 'rsa' | 'ed25519' | 'k256'): KeyObject => {
  switch (type) {
    case 'p384':
      return generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey
    case 'k256':
      return generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey
    case 'rsa':
      return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    case 'ed25519':
      return generateKeyPairSync('ed25519').privateKey
    default:
      return type satisfies never
  }
}
const otherKey = (type: Parameters<typeof pair>[0]) => csr({ spki: spkiOf(pair(type)) })
const good = csr()

const surprises: Readonly<Record<string, Buffer>> = {
  'nothing at all': Buffer.alloc(0),
  'one megabyte': Buffer.alloc(1024 * 1024, 0x30),
  'a byte after its end': Buffer.concat([good, Buffer.from([0])]),
  'a missing last byte': good.subarray(0, -1),
  'a length that is not minimal': Buffer.concat([
    Buffer.from([0x30, 0x82, 0x00, good[2] ?? 0]),
    good.subarray(3),
  ]),
  'an indefinite length': Buffer.concat([
    Buffer.from([0x30, 0x80]),
    good.subarray(3),
    Buffer.alloc(2),
  ]),
  'version 2': csr({ version: integer(1) }),
  'version 0 with a padded byte': csr({ version: integer(0, 0) }),
  'a common name': csr({ subject: named('gateway') }),
  'a DNS name': csr({ attributes: san(0x82, 'gateway.example') }),
  'an address': csr({ attributes: san(0x87, '\x7f\x00\x00\x01') }),
  'an e-mail address': csr({ attributes: san(0x81, 'root@example') }),
  'a SPIFFE ID of another': csr({ attributes: san(0x86, 'spiffe://mesh.example/other') }),
  'the wish to be a CA': csr({
    attributes: asking('2.5.29.19', writeSequence(writeDer(1, Buffer.from([0xff])))),
  }),
  'the wish to sign certificates': csr({
    attributes: asking('2.5.29.15', Buffer.from('03020106', 'hex')),
  }),
  'a challenge password': csr({
    attributes: writeDer(
      contextTag(0, 'constructed'),
      writeSequence(
        writeObjectIdentifier('1.2.840.113549.1.9.7'),
        writeDer(0x31, writeDer(0x0c, Buffer.from('x'))),
      ),
    ),
  }),
  'a part too many inside': csr({ more: integer(0) }),
  'a part too many outside': csr({ after: integer(0) }),
  'a P-384 key': otherKey('p384'),
  'a secp256k1 key': otherKey('k256'),
  'an RSA key': otherKey('rsa'),
  'an Ed25519 key': otherKey('ed25519'),
  'a compressed point': csr({ spki: ecSpki(p256, compressed) }),
  'explicit curve parameters': csr({ spki: ecSpki(explicitParameters(), point.subarray(-65)) }),
  'a point that is not on the curve': csr({
    spki: ecSpki(p256, Buffer.concat([Buffer.from([4]), Buffer.alloc(64, 0x11)])),
  }),
  'ecdsa-with-SHA384': csr({
    algorithm: writeSequence(writeObjectIdentifier('1.2.840.10045.4.3.3')),
  }),
  'NULL parameters of the algorithm': csr({
    algorithm: writeSequence(writeObjectIdentifier('1.2.840.10045.4.3.2'), writeDer(5)),
  }),
  'the signature of something else': csr({ signature: wrongSignature }),
  'an empty signature': csr({ signature: () => writeBits(Buffer.alloc(0)) }),
  'r and s of zero': csr({ signature: () => writeBits(writeSequence(integer(0), integer(0))) }),
  'unused bits in the signature': csr({
    signature: (info) =>
      writeDer(
        derTag.bitString,
        Buffer.from([1]),
        sign('sha256', info, privateKey),
        Buffer.from([0]),
      ),
  }),
  'a signature by another key': csr({
    signature: (info) =>
      writeBits(
        sign('sha256', info, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
      ),
  }),
  'two PEM blocks': Buffer.from(
    pemOf('CERTIFICATE REQUEST', good) + pemOf('CERTIFICATE REQUEST', good),
  ),
  'text before its PEM': Buffer.from(`hello\n${pemOf('CERTIFICATE REQUEST', good)}`),
  'PEM of something else': Buffer.from(pemOf('CERTIFICATE', good)),
}

suite('a certificate signing request', () => {
  const keyId = spkiOf(privateKey)
  for (const [form, request] of [
    ['DER', good],
    ['PEM', Buffer.from(pemOf('CERTIFICATE REQUEST', good))],
    ['PEM as our own gateway makes it', Buffer.from(createCsr(privateKey))],
  ] as const)
    test(`in order, as ${form}, gives its public key`, () => {
      const key = publicKeyOfCsr(request)
      assert.ok(key.ok)
      assert.ok(key.value.spki.equals(keyId))
    })

  test('that openssl makes with an empty subject is in order', without({ openssl }), async () => {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    const made = await run(openssl ?? '', [
      'req',
      '-new',
      ...key,
      '-keyout',
      '/dev/null',
      '-subj',
      '/',
    ])
    const read = publicKeyOfCsr(Buffer.from(made.stdout))
    assert.ok(read.ok, read.ok ? '' : read.problem.detail)
  })

  for (const [surprise, request] of Object.entries(surprises))
    test(`with ${surprise} is refused`, () => {
      const key = publicKeyOfCsr(request)
      assert.ok(!key.ok)
      assert.equal(key.problem.tag, 'csr-refused')
      assert.ok((key.problem.detail ?? '').length > 10)
    })

  test('with any one bit changed is refused', () => {
    for (let at = 0; at < good.length; at++) {
      const changed = Buffer.from(good)
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8))
      assert.ok(!publicKeyOfCsr(changed).ok, `byte ${at}`)
    }
    assert.ok(good.length > 150)
  })
})
