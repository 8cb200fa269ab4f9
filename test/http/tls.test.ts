import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { systemClock } from '#contract/clock'
import { checkCertificate, readCertificateFiles } from '#http/certificates'
import type { Handshake } from '#http/server'
import { serveTls, type TlsSettings } from '#http/tls'
import { certificate, pem, runEdge, serverTls, source, trusting } from './fixtures.ts'
import { dial, head, wireOn } from './wire.ts'

const get = head('GET /a HTTP/1.1')
const handshakes: Handshake[] = []
const openEdge = (tls: TlsSettings) =>
  runEdge({
    tls,
    handshaken: (handshake) => void handshakes.push(handshake),
    doors: {
      request: (req, res) => {
        const { authorized } = req.socket as TLSSocket
        const text = JSON.stringify({ authorized })
        res.writeHead(200, { 'content-length': text.length }).end(text)
      },
      upgrade: (_req, socket) => void socket.destroy(),
      connect: (_req, socket) => void socket.destroy(),
    },
  })
const opened: Awaited<ReturnType<typeof openEdge>>[] = []
const edgeWith = async (tls: Partial<TlsSettings> = {}) => {
  const edge = await openEdge({ ...serverTls, ...tls })
  opened.push(edge)
  return edge
}
after(() => Promise.all(opened.map((edge) => edge.listener.close(0))))

/** Shakes hands, asks once, and tells what came of it. */
const visit = async (port: number, options: ConnectionOptions) => {
  const socket = connect({
    port,
    host: '127.0.0.1',
    ...trusting,
    servername: 'localhost',
    ...options,
  })
  const wire = await wireOn(socket, 'secureConnect')
  if (socket.destroyed) return { refused: true } as const
  wire.write(get)
  try {
    const answer = await wire.answer()
    const { subject } = socket.getPeerCertificate()
    return {
      refused: false,
      name: subject.CN,
      version: socket.getProtocol(),
      alpn: socket.alpnProtocol,
      ...answer.json(),
    }
  } catch {
    return { refused: true } as const // TLS 1.3: a client learns late that its certificate was not wanted
  } finally {
    wire.destroy()
  }
}

/** Whether a first and a second visit with the session of the first were resumed. */
const twice = async (port: number, options: ConnectionOptions) => {
  handshakes.length = 0
  const socket = connect({
    port,
    host: '127.0.0.1',
    servername: 'localhost',
    ...trusting,
    ...options,
  })
  let session: Buffer | undefined
  socket.on('session', (given: Buffer) => (session = given))
  const wire = await wireOn(socket, 'secureConnect')
  wire.write(get)
  await wire.answer()
  wire.destroy()
  await visit(port, { ...options, ...(session ? { session } : {}) })
  return handshakes.map(({ resumed }) => resumed)
}
suite('which certificate a caller gets', () => {
  const unverified = { checkServerIdentity: () => undefined }
  for (const [serverName, name] of [
    ['localhost', 'server'],
    ['API.Example', 'server'],
    ['wild.example', 'wildcard'],
    ['a.wild.example', 'wildcard'],
    ['A.WILD.EXAMPLE', 'wildcard'],
    ['a.b.wild.example', 'server'],
    ['unknown.example', 'server'],
    ['', 'server'],
  ] as const)
    test(`by the name ${serverName || '(none)'}: ${name}`, async () => {
      edge ??= await edgeWith({ certificates: [certificate('server'), certificate('wildcard')] })
      const seen = await visit(edge.port, { servername: serverName, ...unverified })
      assert.equal(seen.name, name)
    })
  let edge: Awaited<ReturnType<typeof edgeWith>> | undefined

  test('by an unknown name none, if that is to be refused', async () => {
    const strict = await edgeWith({ unknownServerName: 'refuse' })
    assert.equal(
      (await visit(strict.port, { servername: 'unknown.example', ...unverified })).refused,
      true,
    )
    assert.equal((await visit(strict.port, {})).name, 'server')
    assert.deepEqual(strict.turned, ['tls'])
  })
})

suite('protocol', () => {
  test('modern offers TLS 1.3 alone', async () => {
    const edge = await edgeWith({ profile: 'modern' })
    assert.equal((await visit(edge.port, { maxVersion: 'TLSv1.2' })).refused, true)
    const seen = await visit(edge.port, { ALPNProtocols: ['h2', 'http/1.1'] })
    assert.deepEqual([seen.version, seen.alpn], ['TLSv1.3', 'http/1.1'])
  })

  test('intermediate offers TLS 1.2 too, with forward secrecy and AEAD, and nothing older', async () => {
    const edge = await edgeWith()
    assert.equal((await visit(edge.port, { maxVersion: 'TLSv1.2' })).version, 'TLSv1.2')
    for (const refused of [
      { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' },
      { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' },
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' },
    ] as const)
      assert.equal((await visit(edge.port, refused)).refused, true, refused.ciphers)
  })

  test('an own list is what is offered', async () => {
    const ciphers = 'TLS_CHACHA20_POLY1305_SHA256'
    const edge = await edgeWith({
      profile: { minVersion: 'TLSv1.3', ciphers, groups: 'secp384r1' },
    })
    assert.equal((await visit(edge.port, { ciphers: 'TLS_AES_128_GCM_SHA256' })).refused, true)
    assert.equal((await visit(edge.port, { ecdhCurve: 'X25519' })).refused, true)
    handshakes.length = 0
    assert.equal((await visit(edge.port, {})).refused, false)
    assert.deepEqual(handshakes, [{ version: 'TLSv1.3', cipher: ciphers, resumed: false }])
  })

  test('every group of the profiles is there: each alone makes a handshake', async () => {
    const edge = await edgeWith({ profile: 'modern' })
    for (const ecdhCurve of ['X25519MLKEM768', 'X25519', 'prime256v1', 'secp384r1'])
      assert.equal((await visit(edge.port, { ecdhCurve })).refused, false, ecdhCurve)
  })
})

suite('certificates of callers', () => {
  const asked = { roots: [pem('ca')] }
  const withCert = (name: string) => ({ cert: pem(name), key: pem(`${name}.key`) })

  for (const [mode, caller, expected] of [
    ['request', {}, false],
    ['request', withCert('client'), true],
    ['request', withCert('stranger'), false],
    ['require', {}, 'refused'],
    ['require', withCert('client'), true],
    ['require', withCert('stranger'), 'refused'],
  ] as const)
    for (const serverName of ['localhost', 'wild.example'])
      test(`${mode}: ${'cert' in caller ? 'with one' : 'without'} at ${serverName} is ${expected}`, async () => {
        const edge = await edgeWith({
          certificates: [certificate('server'), certificate('wildcard')],
          clientCertificates: { ...asked, mode },
        })
        const seen = await visit(edge.port, { ...caller, servername: serverName })
        assert.equal(seen.refused ? 'refused' : seen.authorized, expected)
      })
})

suite('resumption', () => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    test(`is offered where callers have no certificates (${maxVersion})`, async () => {
      const edge = await edgeWith()
      assert.deepEqual(await twice(edge.port, { maxVersion }), [false, true])
    })
    test(`is not where they have (${maxVersion})`, async () => {
      const edge = await edgeWith({ clientCertificates: { roots: [pem('ca')], mode: 'require' } })
      const caller = { cert: pem('client'), key: pem('client.key'), maxVersion }
      assert.deepEqual(await twice(edge.port, caller), [false, false])
    })
  }
})

suite('a reload', () => {
  const subjectOf = async (port: number, servername = 'localhost') =>
    (await visit(port, { servername, checkServerIdentity: () => undefined })).name

  test('gives new callers the new certificates and keeps open connections', async () => {
    const edge = await edgeWith()
    const open = await dial(edge.port, trusting)
    open.write(get)
    await open.answer()
    edge.listener.reloadTls([certificate('renewed'), certificate('wildcard')])
    assert.equal(await subjectOf(edge.port), 'renewed')
    assert.equal(await subjectOf(edge.port, 'a.wild.example'), 'wildcard')
    open.write(get)
    assert.equal((await open.answer()).status, 200)
    open.destroy()
  })

  test('keeps the profile, and whether connections may be resumed', async () => {
    const clientCertificates = { roots: [pem('ca')], mode: 'require' } as const
    const edge = await edgeWith({ profile: 'modern', clientCertificates })
    edge.listener.reloadTls([certificate('renewed')], clientCertificates)
    const caller = { cert: pem('client'), key: pem('client.key') }
    assert.equal((await visit(edge.port, { ...caller, maxVersion: 'TLSv1.2' })).refused, true)
    assert.deepEqual(await twice(edge.port, caller), [false, false])
  })

  test('of something that cannot be served changes nothing', async () => {
    const edge = await edgeWith()
    assert.throws(
      () => edge.listener.reloadTls([certificate('weak')]),
      /weak\.pem: cannot be served \(ERR_SSL_EE_KEY_TOO_SMALL\): .*2048/,
    )
    assert.throws(() => edge.listener.reloadTls([]), /needs a certificate/)
    assert.equal(await subjectOf(edge.port), 'server')
  })

  test('changes the roots of callers for new connections', async () => {
    const mode = 'require'
    const edge = await edgeWith({ clientCertificates: { roots: [pem('ca')], mode } })
    const stranger = { cert: pem('stranger'), key: pem('stranger.key') }
    assert.equal((await visit(edge.port, stranger)).refused, true)
    edge.listener.reloadTls([certificate('server')], { roots: [pem('other-ca')], mode })
    assert.equal((await visit(edge.port, stranger)).refused, false)
    for (const other of [undefined, { roots: [pem('ca')], mode: 'request' } as const])
      assert.throws(
        () => edge.listener.reloadTls([certificate('server')], other),
        /without a restart/,
      )
  })
})

suite('a certificate that cannot serve is named with its remedy', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-tls-'))
  after(() => rmSync(folder, { recursive: true }))
  const year = (fullYear: number) => () => Date.UTC(fullYear, 0, 1)

  for (const [name, check, message] of [
    [
      'a key of another',
      () => checkCertificate(source('server', 'client'), systemClock),
      /client\.key\.pem: this key does not match the certificate in server\.pem/,
    ],
    [
      'expired',
      () => checkCertificate(source('server'), year(2200)),
      /server\.pem: expired on .*new certificate/,
    ],
    [
      'not valid yet',
      () => checkCertificate(source('server'), year(1990)),
      /server\.pem: valid only from .*clock/,
    ],
    [
      'no certificate',
      () => checkCertificate({ ...source('server'), certificate: 'x' }, systemClock),
      /server\.pem: no certificate in it/,
    ],
    [
      'a broken one',
      () =>
        checkCertificate(
          { ...source('server'), certificate: pem('server').replace('\nM', '\nX') },
          systemClock,
        ),
      /server\.pem: holds something/,
    ],
    [
      'no key',
      () =>
        checkCertificate(
          { ...source('server'), key: { ...source('server').key, reveal: () => 'x' } },
          systemClock,
        ),
      /server\.key\.pem: no private key/,
    ],
    [
      'a chain in the wrong order',
      () =>
        checkCertificate(
          { ...source('server'), certificate: pem('server') + pem('other-ca') },
          systemClock,
        ),
      /server\.pem: its certificates are not in order/,
    ],
    [
      'one without a name that is not the first',
      () =>
        serveTls({ ...serverTls, certificates: [certificate('server'), certificate('nameless')] }),
      /nameless\.pem: has no DNS name/,
    ],
    [
      'a cipher nobody knows',
      () =>
        serveTls({
          ...serverTls,
          profile: { minVersion: 'TLSv1.3', ciphers: 'NONSENSE', groups: 'X25519' },
        }),
      /server\.pem: cannot be served/,
    ],
    [
      'a group nobody knows',
      () =>
        serveTls({
          ...serverTls,
          profile: { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256', groups: 'nonsense' },
        }),
      /server\.pem: cannot be served/,
    ],
  ] as const)
    test(name, () => assert.throws(check, { message }))

  test('files that are not there, not readable, or folders', async () => {
    const files = (certificateFile: string) => ({ certificateFile, keyFile: certificateFile })
    await assert.rejects(
      readCertificateFiles(files(join(folder, 'none.pem'))),
      /none\.pem: cannot read this certificate: there is no such file/,
    )
    await assert.rejects(
      readCertificateFiles(files(folder)),
      /cannot read this certificate: it is a folder/,
    )
    const locked = join(folder, 'locked.pem')
    writeFileSync(locked, 'x')
    chmodSync(locked, 0)
    if (process.getuid?.() !== 0)
      await assert.rejects(readCertificateFiles(files(locked)), /may not read it/)
  })

  test('files that are sound are read', async () => {
    const at = (name: string) => new URL(`../fixtures/tls/${name}.pem`, import.meta.url).pathname
    const files = await readCertificateFiles({
      certificateFile: at('server'),
      keyFile: at('server.key'),
    })
    const { names, notAfterMs } = checkCertificate(files, systemClock)
    assert.deepEqual(names, ['localhost', 'api.example'])
    assert.ok(notAfterMs > Date.now())
    assert.doesNotMatch(JSON.stringify(files), /PRIVATE KEY/)
  })

  test('names are those that the certificate itself agrees to', () => {
    assert.deepEqual(certificate('tricky').names, ['plain.example'])
    assert.deepEqual(certificate('wildcard').names, ['*.wild.example', 'wild.example'])
  })
})
