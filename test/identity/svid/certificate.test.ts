import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { suite, test } from 'node:test'
import { parseTrustDomain } from '#contract/spiffe-id'
import { derChildren, derOf, derTag } from '#identity/svid/der'
import { writeDer, writeSequence } from '#identity/svid/der-write'
import { readCertificate, readSvidAuthority, readSvidLeaf } from '#identity/svid/certificate'
import {
  leafExtensions,
  makeCertificate,
  makeRoot,
  makeSvid,
  rootExtensions,
} from '#test/fakes/openssl'

const domain = parseTrustDomain('mesh.example')
assert.ok(domain.ok)
const trustDomain = domain.value
const id = 'spiffe://mesh.example/ns/shop/sa/cart'
const root = makeRoot(trustDomain)
const leaf = makeSvid(root, id)

test('a proper X509-SVID is read, and node agrees on what it says', () => {
  const read = readSvidLeaf(leaf.der)
  assert.ok(read.ok, JSON.stringify(read))
  const node = new X509Certificate(leaf.der)
  assert.equal(read.value.spiffeId, id)
  assert.equal(read.value.notBeforeMs, node.validFromDate.getTime())
  assert.equal(read.value.notAfterMs, node.validToDate.getTime())
  assert.equal(read.value.serial.toUpperCase(), node.serialNumber)
  assert.deepEqual(read.value.spki, node.publicKey.export({ type: 'spki', format: 'der' }))
})

test('a root is read as an authority of its own trust domain, and of no other', () => {
  assert.ok(readSvidAuthority(root.der, trustDomain).ok)
  assert.ok(
    readSvidAuthority(
      makeCertificate({ subject: '/CN=x', extensions: rootExtensions() }).der,
      trustDomain,
    ).ok,
  )
  const other = readSvidAuthority(makeRoot('other.example').der, trustDomain)
  assert.ok(!other.ok)
  assert.match(other.fault, /another trust domain/)
})

/** One extension section a fault, named as go-spiffe names its fixtures. */
const faults: Readonly<Record<string, readonly [extensions: readonly string[], fault: RegExp]>> = {
  'no URI': [leafExtensions('DNS:localhost'), /0 URIs/],
  'two URIs': [leafExtensions(`URI:${id}, URI:spiffe://mesh.example/b`), /2 URIs/],
  'a URI that is no SPIFFE ID': [leafExtensions('URI:https://mesh.example/a'), /not a SPIFFE ID/],
  'an ID in capitals': [leafExtensions('URI:spiffe://MESH.example/a'), /not a SPIFFE ID/],
  'an ID with a dot segment': [
    leafExtensions('URI:spiffe://mesh.example/a/../b'),
    /not a SPIFFE ID/,
  ],
  'the ID of a trust domain': [
    leafExtensions('URI:spiffe://mesh.example'),
    /that of a trust domain/,
  ],
  'no alternative name': [leafExtensions('').slice(0, 3), /0 URIs/],
  'cA true': [
    ['basicConstraints = critical, CA:TRUE', ...leafExtensions(`URI:${id}`).slice(1)],
    /it is a CA/,
  ],
  'no key usage': [
    leafExtensions(`URI:${id}`).filter((line) => !line.startsWith('keyUsage')),
    /missing/,
  ],
  'key usage that is not critical': [
    ['keyUsage = digitalSignature', `subjectAltName = critical, URI:${id}`],
    /not critical/,
  ],
  'no digitalSignature': [
    ['keyUsage = critical, keyAgreement', `subjectAltName = critical, URI:${id}`],
    /no digitalSignature/,
  ],
  keyCertSign: [
    ['keyUsage = critical, digitalSignature, keyCertSign', `subjectAltName = critical, URI:${id}`],
    /may sign/,
  ],
  cRLSign: [
    ['keyUsage = critical, digitalSignature, cRLSign', `subjectAltName = critical, URI:${id}`],
    /may sign/,
  ],
  'serverAuth alone': [
    [
      'keyUsage = critical, digitalSignature',
      'extendedKeyUsage = serverAuth',
      `subjectAltName = critical, URI:${id}`,
    ],
    /lacks serverAuth or clientAuth/,
  ],
  'no subject and an uncritical alternative name': [
    ['keyUsage = critical, digitalSignature', `subjectAltName = URI:${id}`],
    /alternative name is not critical/,
  ],
}

suite('a leaf is refused that has', () => {
  for (const [what, [extensions, fault]] of Object.entries(faults))
    test(what, () => {
      const read = readSvidLeaf(makeCertificate({ issuer: root, extensions }).der)
      assert.ok(!read.ok)
      assert.match(read.fault, fault)
    })

  test('two URIs that display text would show as one (CVE-2021-44532)', () => {
    const tricky = `URI:spiffe://mesh.example/a, URI:spiffe://evil.example/b`
    const shown = makeCertificate({
      issuer: root,
      extensions: [
        'keyUsage = critical, digitalSignature',
        'subjectAltName = critical, @names',
        '[names]',
        `URI.1 = ${tricky}`,
      ],
    })
    assert.equal(readSvidLeaf(shown.der).ok, false)
  })
})

suite('an authority is refused that', () => {
  for (const [what, extensions, fault] of [
    ['is no CA', leafExtensions('URI:spiffe://mesh.example'), /no CA/],
    [
      'may not sign certificates',
      ['basicConstraints = critical, CA:TRUE', 'keyUsage = critical, cRLSign'],
      /no keyCertSign/,
    ],
    ['has a path in its ID', rootExtensions('spiffe://mesh.example/ca'), /has a path/],
    ['has two IDs', rootExtensions('spiffe://mesh.example, URI:spiffe://b.example'), /2 URIs/],
  ] as const)
    test(what, () => {
      const read = readSvidAuthority(
        makeCertificate({ subject: '/CN=x', extensions }).der,
        trustDomain,
      )
      assert.ok(!read.ok)
      assert.match(read.fault, fault)
    })
})

test('with a subject the alternative name need not be critical', () => {
  const named = makeCertificate({
    issuer: root,
    subject: '/CN=cart',
    extensions: ['keyUsage = critical, digitalSignature', `subjectAltName = URI:${id}`],
  })
  assert.ok(readSvidLeaf(named.der).ok)
})

test('bytes after the certificate are refused, and one that is too large', () => {
  assert.equal(readCertificate(Buffer.concat([leaf.der, Buffer.from([0])])).ok, false)
  assert.equal(readCertificate(Buffer.alloc(16_385, 0x30)).ok, false)
})

test('an extension that comes twice is refused: programs differ in which they read', () => {
  // Built by hand: openssl makes no such certificate. The signature is not what is read here.
  const sequence = (bytes: Buffer) => derOf(bytes, derTag.sequence)
  const [tbs, ...signature] = derChildren(sequence(leaf.der))
  assert.ok(tbs)
  const fields = derChildren(tbs)
  const tagged = fields.at(-1)
  assert.ok(tagged?.tag === 0xa3)
  const [list] = derChildren(tagged)
  assert.ok(list)
  const extensions = derChildren(list).map(({ bytes }) => bytes)
  const rebuilt = (more: readonly Buffer[]) =>
    writeSequence(
      writeSequence(
        ...fields.slice(0, -1).map(({ bytes }) => bytes),
        writeDer(0xa3, writeSequence(...extensions, ...more)),
      ),
      ...signature.map(({ bytes }) => bytes),
    )
  assert.ok(readCertificate(rebuilt([])).ok)
  for (const extension of extensions) {
    const read = readCertificate(rebuilt([extension]))
    assert.ok(!read.ok)
    assert.match(read.fault, /repeated/)
  }
})
