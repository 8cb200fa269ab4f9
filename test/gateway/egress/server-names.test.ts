// CONNECT host, server name and Host header: whatever they say, nobody gets where CONNECT did not name.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createTcp, type AddressInfo, type Socket } from 'node:net'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import * as fc from 'fast-check'
import { readClientHello } from '#gateway/egress/client-hello'
import { runHttps } from '#test/fakes/https-server'
import { helloOf } from './hello.ts'
import { certificates, runRig, type RigOptions } from './rig.ts'

const certs = certificates()
const api = await runHttps(
  certs.outside('DNS:api.test, DNS:other.test, IP:127.0.0.1'),
  (req, res) => res.end(`host ${req.headers.host}`),
)
/** Counts bytes that reach a destination. */
let bytesSeen = 0
const sink = createTcp((socket) => {
  socket.on('data', (chunk) => (bytesSeen += chunk.length)).on('error', () => {})
})
await once(sink.listen(0, '127.0.0.1'), 'listening')
const sinkPort = (sink.address() as AddressInfo).port
const speaksFirst = createTcp((socket: Socket) => {
  socket.on('error', () => {}).write('SSH-2.0-x\r\n')
  socket.on('data', (chunk) => socket.write(chunk))
})
await once(speaksFirst.listen(0, '127.0.0.1'), 'listening')
const tcpPort = (speaksFirst.address() as AddressInfo).port
after(async () => {
  await api.close()
  sink.close()
  speaksFirst.close()
})
const opens = ['127.0.0.0/8']
const options: RigOptions = {
  rules: [
    {
      id: 'shop',
      destinations: [
        { hosts: ['api.test'], ports: [api.port, sinkPort], opens },
        { hosts: ['nameless.test'], ports: [api.port], opens, withoutServerName: true },
        { hosts: ['ech.test'], ports: [sinkPort], opens, encryptedClientHello: true },
        { hosts: ['db.test'], ports: [tcpPort, api.port], protocol: 'tcp', opens },
        { networks: ['127.0.0.1/32'], ports: [api.port] },
      ],
    },
  ],
}
const rig = await runRig(certs, options)
for (const name of ['api.test', 'nameless.test', 'ech.test', 'db.test'])
  rig.dns.set(name, [{ type: 'A', address: '127.0.0.1' }])

/** What the record says of the server name, and whether TLS came about. */
const through = async (
  connect: string,
  servername: string | undefined,
  host: string,
  port = api.port,
) => {
  const { wire, answer } = await rig.connect(`${connect}:${port}`)
  assert.equal(answer.status, 200)
  const tls: TLSSocket = connectTls({
    socket: wire.socket,
    ...(servername === undefined ? {} : { servername }),
    ca: certs.outsideRoot.pem,
    checkServerIdentity: () => undefined,
  })
  const outcome = await new Promise<string>((resolve) => {
    tls.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    tls.once('close', () => resolve('closed'))
    tls.once('secureConnect', () => {
      tls.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
      tls.once('data', (chunk: Buffer) => resolve(String(chunk).split('\r\n', 1)[0] ?? ''))
    })
  })
  tls.destroy()
  const decisionId = /x-sallyport-decision-id: (\S+)/.exec(answer.head)?.[1]
  const { egress, problem, step } = await rig.recordOf(
    (event) => event.decisionId === decisionId && event.egress?.phase === 'closed',
  )
  return { outcome, said: egress?.serverName, problem, step }
}

suite('the server name against the host of CONNECT', () => {
  const rows = [
    ['api.test', 'api.test', 'match', 'HTTP/1.1 200 OK'],
    ['api.test', 'API.test', 'match', 'HTTP/1.1 200 OK'],
    ['api.test', 'other.test', 'mismatch', 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME'],
    ['api.test', 'evil.example', 'mismatch', 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME'],
    ['api.test', undefined, 'absent', 'ERR_SSL_TLSV1_ALERT_ACCESS_DENIED'],
    ['nameless.test', undefined, 'absent', 'HTTP/1.1 200 OK'],
    ['nameless.test', 'other.test', 'mismatch', 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME'],
    ['127.0.0.1', undefined, 'absent', 'HTTP/1.1 200 OK'],
    ['127.0.0.1', 'api.test', 'mismatch', 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME'],
    ['db.test', 'evil.example', 'not-inspected', 'HTTP/1.1 200 OK'], // the rule says that nobody looks
  ] as const
  for (const [connect, servername, said, outcome] of rows)
    test(`CONNECT ${connect}, server name ${servername ?? 'none'}: ${said}`, async () => {
      const seen = await through(connect, servername, connect)
      assert.equal(seen.said, said)
      assert.match(seen.outcome.replace('SSLV3', 'TLSV1'), new RegExp(outcome.replace('.', '\\.')))
      const isThrough = outcome.startsWith('HTTP')
      assert.equal(seen.problem, isThrough ? 'none' : 'server-name-refused')
      if (!isThrough) assert.equal(seen.step, 'client hello')
    })
  test('within TLS the Host header is not seen: where it leads is up to the host that was connected to', async () => {
    const { outcome } = await through('api.test', 'api.test', 'internal.corp')
    assert.equal(outcome, 'HTTP/1.1 200 OK')
  })
})

suite('what is no ClientHello', () => {
  const sent = async (host: string, bytes: Buffer, waitMs = 0) => {
    const before = bytesSeen
    const { wire, answer } = await rig.connect(`${host}:${sinkPort}`)
    assert.equal(answer.status, 200)
    wire.socket.write(bytes)
    if (waitMs > 0) await sleep(waitMs)
    const decisionId = /x-sallyport-decision-id: (\S+)/.exec(answer.head)?.[1]
    await sleep(20)
    const isOpen = !wire.socket.closed
    wire.destroy()
    const { egress } = await rig.recordOf(
      (event) => event.decisionId === decisionId && event.egress?.phase === 'closed',
    )
    return { said: egress?.serverName, reached: bytesSeen - before, isOpen }
  }
  test('plain HTTP in a tunnel for TLS', async () => {
    const { said, reached } = await sent('api.test', Buffer.from('GET / HTTP/1.1\r\n\r\n'))
    assert.deepEqual([said, reached], ['not-tls', 0])
  })
  test('a beginning that never goes on', async () => {
    await rig.reload({ ...options, more: { clientHelloTimeoutMs: 100 } })
    const { said, reached } = await sent('api.test', helloOf('api.test').subarray(0, 50), 400)
    await rig.reload(options)
    assert.deepEqual([said, reached], ['timeout', 0])
  })
  test('one without end', async () => {
    const endless = Buffer.alloc(20_000)
    for (let at = 0; at < endless.length; at += 105) {
      endless.set([22, 3, 1, 0, 100], at)
      if (at === 0) endless.set([1, 0, 255, 255], 5)
    }
    const { said, reached } = await sent('api.test', endless)
    assert.deepEqual([said, reached], ['too-long', 0])
  })
  test('one that is encrypted, unless the rule takes it', async () => {
    const closed = await sent('api.test', helloOf('api.test', { encrypted: true }))
    assert.deepEqual([closed.said, closed.reached], ['encrypted', 0])
    const hello = helloOf('ech.test', { encrypted: true })
    const open = await sent('ech.test', hello)
    assert.deepEqual([open.said, open.reached], ['match', hello.length])
  })
  test('one in many records, a byte at a time, gets through whole', async () => {
    const hello = helloOf('api.test', { recordBytes: 7 })
    const before = bytesSeen
    const { wire } = await rig.connect(`api.test:${sinkPort}`)
    for (const byte of hello) wire.socket.write(Buffer.from([byte]))
    for (let i = 0; i < 100 && bytesSeen - before < hello.length; i += 1) await sleep(10)
    assert.equal(bytesSeen - before, hello.length)
    wire.destroy()
  })
  test('bytes right behind CONNECT are looked at, too', async () => {
    const before = bytesSeen
    const wire = await rig.dialProxy('spiffe://mesh.example/ns/shop/sa/shop')
    const place = `api.test:${sinkPort}`
    wire.socket.write(
      Buffer.concat([
        Buffer.from(`CONNECT ${place} HTTP/1.1\r\nHost: ${place}\r\n\r\n`),
        helloOf('evil.example'),
      ]),
    )
    await wire.end()
    assert.equal(bytesSeen, before)
  })
  test('where the rule says tcp the destination may speak first', async () => {
    const { wire, answer } = await rig.connect(`db.test:${tcpPort}`)
    assert.equal(answer.status, 200)
    await wire.until(/SSH-2\.0-x/)
    wire.write('echo me')
    await wire.until(/echo me/)
    wire.destroy()
  })
})

suite('reading a ClientHello', () => {
  test('its name is found, however it is cut into records', () => {
    for (const recordBytes of [1, 2, 5, 50, 16_000]) {
      const hello = helloOf('api.test', { recordBytes })
      assert.deepEqual(readClientHello(Buffer.concat([hello, Buffer.from([23])])), {
        kind: 'hello',
        serverName: 'api.test',
        isEncrypted: false,
        takesBytes: hello.length,
      })
    }
  })
  test('every beginning of one is incomplete', () => {
    const hello = helloOf('api.test')
    for (let length = 1; length < hello.length; length += 1)
      assert.equal(readClientHello(hello.subarray(0, length)).kind, 'incomplete', String(length))
  })
  test('however it is cut, it is looked at a few times only', () => {
    for (const recordBytes of [1, 2, 300]) {
      const hello = helloOf(`${'a'.repeat(60)}.test`, { recordBytes })
      let looks = 1
      for (let length = 1; length < hello.length; looks += 1) {
        const read = readClientHello(hello.subarray(0, length))
        assert.ok(read.kind === 'incomplete' && read.atLeastBytes > length)
        assert.ok(read.atLeastBytes <= hello.length, 'it would be waited for in vain')
        length = read.atLeastBytes
      }
      assert.ok(looks < 60, `${looks} looks`)
    }
  })
  test('early data and changed ciphers behind it are nothing to it', () => {
    const more = Buffer.from([20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 2, 1, 2])
    assert.equal(readClientHello(Buffer.concat([helloOf('api.test'), more])).kind, 'hello')
  })
  test('two names, a name twice, a name that is none: malformed', () => {
    for (const options of [
      { names: ['api.test', 'evil.example'] },
      { twice: true },
      { names: ['api.test\0.evil.example'] },
      { names: [''] },
      { names: ['api.test '] },
      { names: ['äpi.test'] },
      { nameType: 1 },
    ])
      assert.equal(
        readClientHello(helloOf('api.test', options)).kind,
        'malformed',
        JSON.stringify(options),
      )
  })
  test('no bytes make it throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        readClientHello(Buffer.from(bytes))
        readClientHello(
          Buffer.concat([Buffer.from([22, 3, 1, 1, 40, 1, 0, 1, 36]), Buffer.from(bytes)]),
        )
      }),
    )
  })
  test('no changed byte makes it another name', () => {
    const hello = helloOf('api.test')
    fc.assert(
      fc.property(fc.nat(hello.length - 1), fc.nat(255), (at, byte) => {
        const changed = Buffer.from(hello)
        changed[at] = byte
        const read = readClientHello(changed)
        if (read.kind !== 'hello' || read.serverName === undefined) return
        assert.ok(
          changed.includes(read.serverName) ||
            changed.toString('latin1').toLowerCase().includes(read.serverName),
        )
      }),
    )
  })
})
