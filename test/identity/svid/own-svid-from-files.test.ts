import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { systemClock } from '#contract/clock'
import type { SpiffeId } from '#contract/spiffe-id'
import { noLog, noMeter, type Log } from '#contract/telemetry'
import { ownSvidFromFiles, type OwnSvidFromFilesOptions } from '#identity/svid/own-svid-from-files'
import {
  leafExtensions,
  makeCertificate,
  makeRoot,
  makeSvid,
  newKey,
  rootExtensions,
  type MadeCertificate,
} from '#test/fakes/openssl'

const id = 'spiffe://mesh.example/gateway' as SpiffeId
const root = makeRoot('mesh.example')
const svid = makeSvid(root, id)
const renewed = makeSvid(root, id)

const folderWith = (
  certificate: Pick<MadeCertificate, 'pem' | 'keyPem'>,
  bundle = root.pem,
): OwnSvidFromFilesOptions & { readonly folder: string } => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-svid-'))
  after(() => rmSync(folder, { recursive: true }))
  const files = {
    folder,
    certificateFile: join(folder, 'svid.pem'),
    keyFile: join(folder, 'key.pem'),
    bundleFile: join(folder, 'bundle.pem'),
  }
  writeFileSync(files.certificateFile, certificate.pem)
  writeFileSync(files.keyFile, certificate.keyPem)
  writeFileSync(files.bundleFile, bundle)
  return { ...files, spiffeId: id, pollMs: 10, clock: systemClock, meter: noMeter, log: noLog }
}
const until = async (what: string, isSo: () => boolean) => {
  for (let waited = 0; !isSo(); waited += 5) {
    assert.ok(waited < 30_000, `never happened: ${what}`)
    await sleep(5)
  }
}

suite('the own SVID from files', () => {
  test('is read, and prints no key', async () => {
    const own = await ownSvidFromFiles(folderWith(svid))
    after(own.close)
    const { spiffeId, certificateChain, privateKey, bundle } = own.current()
    assert.deepEqual([spiffeId, certificateChain, bundle], [id, svid.pem, root.pem])
    assert.equal(privateKey.reveal(), svid.keyPem)
    assert.doesNotMatch(inspect(own.current(), { depth: 5 }), /PRIVATE/)
    assert.doesNotMatch(JSON.stringify(own.current()), /PRIVATE/)
  })

  test('may have intermediates, and a bundle of several roots', async () => {
    const intermediate = makeCertificate({
      issuer: root,
      subject: '/CN=intermediate',
      extensions: rootExtensions('spiffe://mesh.example'),
    })
    const leaf = makeSvid(intermediate, id)
    const chain = { ...leaf, pem: leaf.pem + intermediate.pem }
    const bundle = makeRoot('mesh.example', 'next').pem + root.pem
    const own = await ownSvidFromFiles(folderWith(chain, bundle))
    after(own.close)
    assert.equal(own.current().certificateChain, chain.pem)
    await assert.rejects(ownSvidFromFiles(folderWith(leaf)), /does not end at a root/)
  })

  test('changes with the files, and tells who asked', async () => {
    const options = folderWith(svid)
    const own = await ownSvidFromFiles(options)
    after(own.close)
    const told: string[] = []
    const stop = own.onChange((changed) => told.push(changed.certificateChain))
    // One by one: in between certificate and key do not fit, and the old pair has to be kept.
    writeFileSync(options.certificateFile, renewed.pem)
    await sleep(40)
    assert.equal(own.current().certificateChain, svid.pem)
    writeFileSync(options.keyFile, renewed.keyPem)
    await until('the new one is used', () => own.current().certificateChain === renewed.pem)
    assert.deepEqual(told, [renewed.pem])
    stop()
    writeFileSync(options.certificateFile, svid.pem)
    writeFileSync(options.keyFile, svid.keyPem)
    await until('the old one is back', () => own.current().certificateChain === svid.pem)
    assert.equal(told.length, 1)
  })

  test('changes when a symbolic link is swapped, as Kubernetes does it', async () => {
    const options = folderWith(svid)
    const at = (name: string) => join(options.folder, name)
    for (const [folder, { pem, keyPem }] of [
      ['one', svid],
      ['two', renewed],
    ] as const) {
      mkdirSync(at(folder))
      writeFileSync(at(`${folder}/svid.pem`), pem)
      writeFileSync(at(`${folder}/key.pem`), keyPem)
    }
    symlinkSync('one', at('data'))
    const own = await ownSvidFromFiles({
      ...options,
      certificateFile: at('data/svid.pem'),
      keyFile: at('data/key.pem'),
    })
    after(own.close)
    symlinkSync('two', at('data.new'))
    renameSync(at('data.new'), at('data'))
    await until('the new one is used', () => own.current().certificateChain === renewed.pem)
  })

  test('is read at once by reload, which says what is wrong', async () => {
    const options = { ...folderWith(svid), pollMs: 60_000 }
    const own = await ownSvidFromFiles(options)
    after(own.close)
    writeFileSync(options.certificateFile, renewed.pem)
    const torn = await own.reload()
    assert.ok(!torn.ok)
    assert.match(torn.fault, /key is not that of the certificate/)
    writeFileSync(options.keyFile, renewed.keyPem)
    assert.ok((await own.reload()).ok)
    assert.equal(own.current().certificateChain, renewed.pem)
  })

  test('is never replaced by a bad file, and each is logged once', async () => {
    const options = folderWith(svid)
    const faults: string[] = []
    const log: Log = {
      ...noLog,
      error: (fields) => void faults.push(String((fields as { fault?: string }).fault)),
    }
    const own = await ownSvidFromFiles({ ...options, log })
    after(own.close)
    for (const text of ['', 'garbage', svid.pem.slice(0, 300), makeRoot('mesh.example').pem]) {
      const before = faults.length
      writeFileSync(options.certificateFile, text)
      await until('it is noticed', () => faults.length > before)
      assert.equal(own.current().certificateChain, svid.pem)
    }
    await sleep(50)
    assert.equal(faults.length, 4)
    rmSync(options.certificateFile)
    await until('it is noticed', () => faults.length === 5)
    assert.match(faults.join(), /ENOENT/)
    assert.doesNotMatch(faults.join(), /PRIVATE/)
  })
})

suite('at start files are refused by name, with what is wrong with them', () => {
  const expired = () => systemClock() + 2 * 86_400_000
  const early = () => systemClock() - 86_400_000
  const other = makeRoot('other.example')
  for (const [what, options, fault] of [
    [
      'a missing certificate',
      { ...folderWith(svid), certificateFile: '/nowhere/svid.pem' },
      /ENOENT/,
    ],
    ['a key that is none', folderWith({ ...svid, keyPem: 'x' }), /key cannot be read/],
    ['the key of another', folderWith({ ...svid, keyPem: renewed.keyPem }), /not that of the cert/],
    ['a bundle of another root', folderWith(svid, makeRoot('mesh.example').pem), /does not end/],
    ['a bundle of another trust domain', folderWith(svid, other.pem), /another trust domain/],
    ['an empty bundle', folderWith(svid, ''), /the bundle: it has no PEM/],
    ['a bundle with a key in it', folderWith(svid, root.pem + svid.keyPem), /not a whole PEM/],
    ['a certificate that has expired', { ...folderWith(svid), clock: expired }, /has expired/],
    ['a certificate of tomorrow', { ...folderWith(svid), clock: early }, /not valid yet/],
    [
      'a web certificate',
      folderWith(makeCertificate({ issuer: root, extensions: leafExtensions('DNS:localhost') })),
      /no X509-SVID: it has 0 URIs/,
    ],
    [
      'a certificate in place of an intermediate',
      folderWith({ ...svid, pem: svid.pem + renewed.pem }),
      /intermediate certificate: it is no CA/,
    ],
    [
      'the SVID of somebody else',
      folderWith(makeSvid(root, 'spiffe://mesh.example/orders')),
      /is that of spiffe:\/\/mesh\.example\/orders, not of spiffe:\/\/mesh\.example\/gateway/,
    ],
    [
      'a self-signed leaf',
      folderWith(
        makeCertificate({
          key: newKey(),
          subject: '/CN=root',
          extensions: leafExtensions(`URI:${id}`),
        }),
      ),
      /does not end at a root/,
    ],
  ] as const)
    test(what, async () => {
      await assert.rejects(ownSvidFromFiles(options), (error: Error) => {
        assert.match(error.message, fault)
        assert.ok(error.message.includes(options.keyFile), 'the files are not named')
        assert.doesNotMatch(error.message, /PRIVATE KEY/)
        return true
      })
    })
})
