import assert from 'node:assert/strict'
import { constants } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { after, suite, test } from 'node:test'
import { connect, createServer, type TLSSocket, type TlsOptions } from 'node:tls'
import { parseSpiffeId } from '#contract/spiffe-id'
import { peerSpiffeId, spiffePeer } from '#identity/svid/peer'
import { makeCertificate, makeRoot, makeSvid, type MadeCertificate } from '#test/fakes/openssl'

const idOf = (text: string) => {
  const id = parseSpiffeId(text)
  assert.ok(id.ok)
  return id.value
}
const root = makeRoot('mesh.example')
const otherRoot = makeRoot('mesh.example', 'another root of that name')
const orders = idOf('spiffe://mesh.example/orders')
const gateway = idOf('spiffe://mesh.example/gateway')
const ordersSvid = makeSvid(root, orders)
const gatewaySvid = makeSvid(root, gateway)

/** A server that takes client certificates, and what it thinks of each connection. */
const runServer = async (certificate: MadeCertificate, options: TlsOptions = {}) => {
  const seen: ReturnType<typeof peerSpiffeId>[] = []
  const server = createServer(
    {
      cert: certificate.pem,
      key: certificate.keyPem,
      ca: root.pem,
      requestCert: true,
      rejectUnauthorized: false,
      secureOptions: constants.SSL_OP_NO_TICKET,
      ...options,
    },
    (socket) => {
      seen.push(peerSpiffeId(socket))
      socket.on('error', () => {})
      socket.end('x')
    },
  )
  server.on('tlsClientError', () => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  after(() => server.close())
  return { port: (server.address() as AddressInfo).port, seen }
}

type Dialled = { readonly error?: NodeJS.ErrnoException; readonly checked?: string }
const dial = (
  port: number,
  {
    client,
    session,
    bundle = root.pem,
  }: { client?: MadeCertificate; session?: Buffer; bundle?: string } = {},
  onSession: (session: Buffer) => void = () => {},
): Promise<Dialled> =>
  new Promise((resolve) => {
    const peer = spiffePeer({ expected: orders, bundle })
    const socket: TLSSocket = connect({
      host: '127.0.0.1',
      port,
      ...peer.tlsOptions,
      ...(client ? { cert: client.pem, key: client.keyPem } : {}),
      ...(session ? { session } : {}),
    })
    let checked: Dialled = {}
    socket.on('session', onSession)
    socket.once('error', (error) => resolve({ error }))
    socket.once('secureConnect', () => {
      const result = peer.check(socket)
      checked = { checked: result.ok ? result.value : String(result.problem.cause) }
    })
    socket.on('data', () => {})
    socket.once('close', () => resolve(checked))
  })

suite('a client knows who answers', () => {
  test('by the SPIFFE ID of the certificate, whatever the host is called', async () => {
    const { port } = await runServer(makeSvid(root, orders, []))
    assert.deepEqual(await dial(port), { checked: orders })
  })

  for (const [what, certificate, code] of [
    ['another SPIFFE ID', makeSvid(root, 'spiffe://mesh.example/orders2'), 'ERR_SPIFFE_PEER'],
    [
      'an ID that begins alike',
      makeSvid(root, 'spiffe://mesh.example/orders/x'),
      'ERR_SPIFFE_PEER',
    ],
    [
      'the right ID from another root',
      makeSvid(otherRoot, orders),
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    ],
    [
      'a host name and no ID',
      makeCertificate({
        issuer: root,
        subject: '/CN=localhost',
        extensions: ['subjectAltName = DNS:localhost, IP:127.0.0.1'],
      }),
      'ERR_SPIFFE_PEER',
    ],
    [
      'the ID as its common name',
      makeCertificate({
        issuer: root,
        subject: `/CN=${orders.replaceAll('/', '\\/')}`,
        extensions: ['keyUsage = critical, digitalSignature'],
      }),
      'ERR_SPIFFE_PEER',
    ],
  ] as const)
    test(`and not by ${what}`, async () => {
      const { port } = await runServer(certificate)
      const { error } = await dial(port)
      assert.equal(error?.code, code)
    })

  test('and a resumed session, where node asks nobody, is refused', async () => {
    // Tickets on, as a careless server has them.
    const { port } = await runServer(ordersSvid, { secureOptions: 0 })
    let session: Buffer | undefined
    await dial(port, {}, (given) => {
      session = given
    })
    assert.ok(session, 'the server gave no session: nothing was tried')
    const { checked } = await dial(port, { session })
    assert.match(checked ?? '', /session is resumed/)
  })
})

suite('a server knows who came', () => {
  const faultOf = async (client: MadeCertificate | undefined) => {
    const { port, seen } = await runServer(ordersSvid)
    await dial(port, client ? { client } : {})
    const [result] = seen
    assert.ok(result)
    return result.ok ? result.value : result.fault
  }
  test('by the SPIFFE ID of the client certificate', async () => {
    assert.equal(await faultOf(gatewaySvid), gateway)
  })
  for (const [what, client, fault] of [
    ['without one', undefined, /shown no certificate/],
    ['with one of another root', makeSvid(otherRoot, gateway), /not trusted: UNABLE_TO/],
    ['with one that it signed itself', makeRoot('mesh.example', 'self'), /not trusted|is a CA/],
    ['with two IDs', makeSvid(root, gateway, ['URI:spiffe://mesh.example/b']), /2 URIs/],
  ] as const)
    test(`and says of a client ${what} why not`, async () => {
      assert.match(await faultOf(client), fault)
    })

  test('and does not believe a resumed session', async () => {
    const { port, seen } = await runServer(ordersSvid, { secureOptions: 0, maxVersion: 'TLSv1.2' })
    let session: Buffer | undefined
    await dial(port, { client: gatewaySvid }, (given) => {
      session = given
    })
    assert.ok(session)
    await dial(port, { client: gatewaySvid, session })
    assert.equal(seen.length, 2)
    assert.ok(seen[0]?.ok)
    assert.ok(seen[1] && !seen[1].ok)
    assert.match(seen[1].fault, /resumed/)
  })
})
