import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes, X509Certificate } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { promisify } from 'node:util'
import * as fc from 'fast-check'
import { parseSpiffeId } from '#contract/spiffe-id'
import { readCertificate, readSvidAuthority, readSvidLeaf } from '#identity/svid/certificate'
import type { Authority } from '#exchange/ca/authority'
import { signCertificate, type CertificateFields } from '#exchange/ca/certificate'
import { checkCertificate } from '#exchange/ca/check-certificate'
import { generateP256 } from '#exchange/ca/p256'
import { newSerial } from '#exchange/ca/validity'
import { issueX509Svid } from '#exchange/svid/x509'
import { findTool, findToolData, without } from '#test/tools'
import { gateway, hourMs, openTestAuthority, svidOf, trustDomain } from '../fixtures.ts'

const run = promisify(execFile)
const openssl = findTool('openssl')
const python = findToolData('python/bin/python') // the one that has `cryptography`

suite('certificates of the exchange', () => {
  let authority: Authority
  let folder: string
  const file = (name: string) => join(folder, name)
  before(async () => {
    authority = await openTestAuthority()
    folder = await mkdtemp(join(tmpdir(), 'sallyport-certificates-'))
    const server = { dnsNames: ['localhost'], ipAddresses: ['127.0.0.1', '::1'] }
    await Promise.all([
      writeFile(file('root.pem'), authority.current().rootsPem),
      writeFile(file('intermediate.pem'), authority.current().issuer.certificatePem),
      writeFile(file('leaf.pem'), (await svidOf(authority, gateway)).chainPem),
      writeFile(file('server.pem'), (await svidOf(authority, gateway, server)).chainPem),
    ])
  })
  after(() => rm(folder, { recursive: true }))

  for (const purpose of ['sslclient', 'sslserver'])
    for (const leaf of ['leaf.pem', 'server.pem'])
      test(
        `openssl verify -x509_strict takes ${leaf} as ${purpose}`,
        without({ openssl }),
        async () => {
          const trust = ['-CAfile', file('root.pem'), '-untrusted', file('intermediate.pem')]
          const { stdout } = await run(openssl ?? '', [
            'verify',
            '-x509_strict',
            '-purpose',
            purpose,
            ...trust,
            file(leaf),
          ])
          assert.match(stdout, /: OK\n$/)
        },
      )

  test('openssl refuses an intermediate as a party of its own', without({ openssl }), async () => {
    const trust = ['-CAfile', file('root.pem')]
    await run(openssl ?? '', ['verify', '-x509_strict', ...trust, file('intermediate.pem')])
    for (const purpose of ['sslclient', 'sslserver'])
      await assert.rejects(
        run(openssl ?? '', ['verify', '-purpose', purpose, ...trust, file('intermediate.pem')]),
        /unsuitable certificate purpose/,
      )
  })

  test(
    'python cryptography builds the same chain and reads the same SAN',
    without({ python }),
    async () => {
      const script = new URL('./verify_chain.py', import.meta.url).pathname
      const { stdout } = await run(python ?? '', [script, file('root.pem'), file('server.pem')])
      const read = JSON.parse(stdout) as Record<string, unknown>
      assert.deepEqual(read, {
        chain: 3,
        uris: [gateway],
        dns: ['localhost'],
        ips: ['127.0.0.1', '::1'],
        subject: '',
        sanCritical: true,
        digitalSignature: true,
        keyCertSign: false,
        ca: false,
        rootUris: [`spiffe://${trustDomain}`],
        seconds: 3600,
      })
    },
  )

  test('a leaf has one URI, no subject, and lives an hour, ten seconds of it behind us', async () => {
    const nowMs = Date.now()
    const { certificate } = await svidOf(authority, gateway, { nowMs })
    const leaf = readSvidLeaf(certificate)
    assert.ok(leaf.ok)
    assert.equal(leaf.value.spiffeId, gateway)
    assert.equal(leaf.value.notAfterMs - leaf.value.notBeforeMs, hourMs)
    assert.equal(leaf.value.notBeforeMs, Math.floor(nowMs / 1000) * 1000 - 10_000)
    const facts = readCertificate(certificate)
    assert.ok(facts.ok)
    assert.deepEqual(facts.value.uris, [gateway])
    assert.equal(facts.value.hasSubject, false)
  })

  test('roots and intermediates are signing certificates of the trust domain', () => {
    const { roots, issuer } = authority.current()
    for (const certificate of [...roots, issuer.certificate]) {
      const read = readSvidAuthority(certificate, trustDomain)
      assert.ok(read.ok, read.ok ? '' : read.fault)
      const facts = readCertificate(certificate)
      assert.ok(facts.ok)
      assert.deepEqual(facts.value.uris, [`spiffe://${trustDomain}`])
      assert.equal(facts.value.keyUsage?.digitalSignature, false)
    }
  })

  test('two CAs of one domain have two names and two key ids', async () => {
    const other = await openTestAuthority()
    assert.notEqual(other.current().issuer.subject, authority.current().issuer.subject)
    assert.notEqual(
      other.current().keys.roots.active.subject,
      authority.current().keys.roots.active.subject,
    )
  })

  test('whatever ID, names and times: it verifies, says what was meant, and outlives nobody', async () => {
    const { publicKey } = await generateP256()
    const { issuer } = authority.current()
    const issuerCertificate = new X509Certificate(issuer.certificate)
    const segment = fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/)
    let count = 0
    fc.assert(
      fc.property(
        fc.array(segment, { minLength: 1, maxLength: 6 }),
        fc.array(fc.stringMatching(/^[a-z0-9]{1,10}\.example$/), { maxLength: 3 }),
        fc.array(fc.oneof(fc.ipV4(), fc.ipV6()), { maxLength: 3 }),
        fc.integer({ min: 60, max: 30 * 86_400 }),
        (segments, dnsNames, ipAddresses, seconds) => {
          const id = parseSpiffeId(`spiffe://${trustDomain}/${segments.join('/')}`)
          assert.ok(id.ok)
          const svid = issueX509Svid(
            { spiffeId: id.value, publicKey, lifetimeMs: seconds * 1000, dnsNames, ipAddresses },
            issuer,
            Date.now(),
            randomBytes,
          )
          const leaf = readSvidLeaf(svid.certificate)
          assert.ok(leaf.ok)
          assert.equal(leaf.value.spiffeId, id.value)
          assert.ok(leaf.value.spki.equals(publicKey.spki))
          assert.ok(leaf.value.notAfterMs <= issuer.notAfterMs)
          assert.ok(leaf.value.notAfterMs - leaf.value.notBeforeMs <= seconds * 1000)
          const certificate = new X509Certificate(svid.certificate)
          assert.ok(certificate.verify(issuerCertificate.publicKey))
          assert.ok(certificate.checkIssued(issuerCertificate))
          for (const address of ipAddresses) assert.ok(certificate.checkIP(address), address)
          count++
        },
      ),
      { numRuns: 150 },
    )
    assert.equal(count, 150)
  })

  test('after 2049 times are written with four digits of the year', async () => {
    const { publicKey, privateKey } = await generateP256()
    const certificate = signCertificate(
      fieldsOf(publicKey, Date.UTC(2049, 11, 31), Date.UTC(2050, 0, 1)),
      privateKey,
    )
    const facts = readCertificate(certificate)
    assert.ok(facts.ok)
    assert.equal(facts.value.notBeforeMs, Date.UTC(2049, 11, 31))
    assert.equal(facts.value.notAfterMs, Date.UTC(2050, 0, 1))
    assert.ok(certificate.includes('20500101000000Z') && certificate.includes('491231000000Z'))
  })

  test('a serial number is positive, of 16 bytes and needs no padding', () => {
    for (const first of [0x00, 0x01, 0x7f, 0x80, 0x81, 0xff]) {
      const [byte = 0, ...rest] = newSerial((count) => Buffer.alloc(count, first))
      assert.ok(byte > 0 && byte < 0x80)
      assert.equal(rest.length, 15)
    }
  })

  test('the self-check finds every fault that is planted', async () => {
    const { publicKey, privateKey } = await generateP256()
    const fields = fieldsOf(publicKey, Date.UTC(2026, 0, 1), Date.UTC(2027, 0, 1))
    const made = signCertificate(fields, privateKey)
    const { issuer } = authority.current()
    const check = (changed: Partial<CertificateFields>, der = made, issuerDer = made) =>
      checkCertificate(der, { ...fields, ...changed }, issuerDer)
    check({})
    const otherKey = (await generateP256()).publicKey
    const leaf = {
      kind: 'leaf',
      spiffeId: `spiffe://${trustDomain}`,
      dnsNames: [],
      ipAddresses: [],
    } as const
    assert.throws(() => check({}, Buffer.concat([made, Buffer.from([0])])), /DER|surplus/)
    assert.throws(() => check({}, made, issuer.certificate), /its signature/)
    assert.throws(() => check({ serial: randomBytes(16) }), /its serial number/)
    assert.throws(() => check({ notAfterMs: fields.notAfterMs + 1000 }), /its validity/)
    assert.throws(() => check({ publicKey: otherKey }), /its key/)
    assert.throws(() => check({ subject: undefined }), /its subject/)
    assert.throws(() => check({ profile: leaf }), /its basic constraints/)
    assert.throws(
      () =>
        check({
          profile: { kind: 'ca', pathLength: 1, spiffeId: 'spiffe://other.example' },
        }),
      /its SPIFFE ID/,
    )
  })
})

const fieldsOf = (
  publicKey: CertificateFields['publicKey'],
  notBeforeMs: number,
  notAfterMs: number,
): CertificateFields => ({
  serial: newSerial(randomBytes),
  issuer: 'itself',
  subject: 'itself',
  notBeforeMs,
  notAfterMs,
  publicKey,
  authorityKeyId: publicKey.keyId,
  profile: { kind: 'ca', spiffeId: `spiffe://${trustDomain}`, pathLength: 1 },
})
