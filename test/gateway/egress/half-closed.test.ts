// Who has sent all ends its side and waits for the answer: each direction of a tunnel ends by itself.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls, type SecureVersion } from 'node:tls'
import { pass } from '#contract/problem'
import { helloOf } from './hello.ts'
import { aQuota, certificates, runRig, shop, trustDomain } from './rig.ts'

const certs = certificates()
/** What the next connection is served by; each test says it. */
let serve: (socket: Socket) => void = () => {}
let connections = 0
const destination = createServer({ allowHalfOpen: true }, (socket) => {
  connections += 1
  socket.on('error', () => {})
  serve(socket)
})
await once(destination.listen(0, '127.0.0.1'), 'listening')
after(() => destination.close())
const { port } = destination.address() as AddressInfo

/** Closed: who has asked waits before its name is looked up. */
let gate = Promise.resolve()
let atGate = Promise.withResolvers<void>()
const opens = ['127.0.0.0/8']
const hurried = `spiffe://${trustDomain}/ns/hurried/sa/hurried`
const rig = await runRig(certs, {
  rules: [
    {
      id: 'shop',
      destinations: [
        { hosts: ['db.lan'], ports: [port], protocol: 'tcp', opens },
        { hosts: ['tls.lan'], ports: [port], protocol: 'tls', opens },
      ],
      limits: { requests: { points: 1, windowSeconds: 1, slots: 1 } as never },
    },
    {
      id: 'hurried',
      workloads: [hurried],
      destinations: [{ hosts: ['db.lan'], ports: [port], protocol: 'tcp', opens }],
      limits: { idleSeconds: 1 },
    },
  ],
  ports: {
    limit: () => async () => {
      atGate.resolve()
      await gate
      return pass(aQuota)
    },
  },
})
for (const name of ['db.lan', 'tls.lan']) rig.dns.set(name, [{ type: 'A', address: '127.0.0.1' }])

const toProxy = async (version: SecureVersion = 'TLSv1.3', as = shop) => {
  const workload = certs.workload(as)
  const socket = connectTls({
    port: rig.port,
    host: '127.0.0.1',
    servername: 'proxy.test',
    ca: certs.outsideRoot.pem,
    cert: workload.pem,
    key: workload.keyPem,
    maxVersion: version,
  })
  socket.allowHalfOpen = true
  socket.on('error', () => {})
  await once(socket, 'secureConnect')
  return socket
}
const allOf = async (socket: Socket): Promise<string> => {
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return text
}
const headTo = (host: string) => `CONNECT ${host}:${port} HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`
const established = /^HTTP\/1\.1 200 Connection Established\r\n[^]*?\r\n\r\n/
const closedRecord = () =>
  rig.recordOf(({ egress, problem }) => egress?.phase === 'closed' || problem !== 'none')
const reset = () => {
  rig.records.length = 0
  connections = 0
  gate = Promise.resolve()
  atGate = Promise.withResolvers()
}
/** Says what it got, once it has got all. */
const tellAll = (socket: Socket) =>
  void allOf(socket).then((text) => {
    assert.ok(socket.writable)
    socket.end(`got ${text}`)
  })

suite('who ends its side right behind its CONNECT', () => {
  for (const version of ['TLSv1.3', 'TLSv1.2'] as const)
    for (const [how, send] of [
      ['in one write', (socket: Socket) => socket.end(`${headTo('db.lan')}all of it`)],
      [
        'in two writes',
        (socket: Socket) => {
          socket.write(headTo('db.lan'))
          socket.end('all of it')
        },
      ],
    ] as const)
      test(`gets what is answered to what it had sent (${version}, ${how})`, async () => {
        reset()
        serve = tellAll
        const held = Promise.withResolvers<void>()
        gate = held.promise
        const socket = await toProxy(version)
        send(socket)
        await Promise.all([once(socket, 'finish'), atGate.promise])
        held.resolve()
        assert.equal((await allOf(socket)).replace(established, ''), 'got all of it')
        const { egress, outcome, status, bytesIn, bytesOut } = await closedRecord()
        assert.deepEqual(
          [outcome, status, egress?.closedBy, bytesIn, bytesOut],
          ['forwarded', 200, 'workload', 9, 13],
        )
        assert.deepEqual(rig.bugs, [])
      })
  test('has its ClientHello looked at and passed on all the same', async () => {
    reset()
    serve = tellAll
    const hello = helloOf('tls.lan').toString('latin1')
    const socket = await toProxy()
    socket.end(headTo('tls.lan') + hello, 'latin1')
    assert.equal((await allOf(socket)).replace(established, ''), `got ${hello}`)
    assert.equal((await closedRecord()).egress?.serverName, 'match')
  })
  test('with half a ClientHello gets no tunnel', async () => {
    reset()
    const socket = await toProxy()
    socket.end(headTo('tls.lan') + helloOf('tls.lan').toString('latin1', 0, 40), 'latin1')
    await allOf(socket)
    const { problem, egress } = await closedRecord()
    assert.deepEqual([problem, egress?.serverName], ['server-name-refused', 'gone'])
  })
  test('and sent nothing besides has given it up: nothing is dialled', async () => {
    reset()
    const held = Promise.withResolvers<void>()
    gate = held.promise
    const socket = await toProxy()
    socket.end(headTo('db.lan'))
    await allOf(socket) // it is closed while the request still waits
    held.resolve()
    const { status, problem } = await closedRecord()
    assert.deepEqual([status, problem, connections], [499, 'caller-gone', 0])
  })
  test('and then is gone: the tunnel ends, though the destination goes on', async () => {
    reset()
    const closed = Promise.withResolvers<void>()
    serve = (to) => {
      const more = setInterval(() => to.write('more'), 5)
      to.resume().on('close', () => closed.resolve(clearInterval(more)))
    }
    const socket = await toProxy()
    socket.end(`${headTo('db.lan')}all of it`)
    await once(socket, 'data')
    socket.destroy()
    await closed.promise
    const { egress } = await closedRecord()
    assert.equal(egress?.closedBy, 'workload')
    assert.equal(rig.live.size(), 0)
  })
  test('is refused as anyone else, and the connection ends', async () => {
    reset()
    const socket = await toProxy()
    socket.end(`${headTo('evil.lan')}all of it`)
    assert.match(await allOf(socket), /^HTTP\/1\.1 403 /)
    assert.equal((await closedRecord()).problem, 'destination-denied')
    assert.equal(connections, 0)
  })
})

suite('an end in one direction of an open tunnel', () => {
  const much = 'x'.repeat(300_000)
  const open = async (host: string) => {
    reset()
    const socket = await toProxy()
    socket.write(headTo(host))
    const answer = String((await once(socket, 'data'))[0])
    assert.match(answer, established)
    return socket
  }
  test('from the workload: what the destination has to say comes through behind it', async () => {
    serve = (to) => void allOf(to).then((text) => to.write(text, () => to.end(much)))
    const socket = await open('db.lan')
    socket.end('asked')
    assert.equal(await allOf(socket), `asked${much}`)
    const { egress, outcome, bytesIn, bytesOut } = await closedRecord()
    assert.deepEqual(
      [outcome, egress?.closedBy, bytesIn, bytesOut],
      ['forwarded', 'workload', 5, 5 + much.length],
    )
  })
  test('from the destination: what the workload has to say goes through behind it', async () => {
    const got = Promise.withResolvers<string>()
    serve = (to) => {
      to.end('bye')
      allOf(to).then(got.resolve, got.reject)
    }
    const socket = await open('db.lan')
    assert.equal(await allOf(socket), 'bye')
    assert.ok(socket.writable)
    socket.write(much)
    socket.end('and that was all')
    assert.equal(await got.promise, `${much}and that was all`)
    const { egress, outcome, bytesIn, bytesOut } = await closedRecord()
    assert.deepEqual(
      [outcome, egress?.closedBy, bytesIn, bytesOut],
      ['forwarded', 'destination', much.length + 16, 3],
    )
  })
  test('while its ClientHello is not answered yet: the answer comes through all the same', async () => {
    serve = tellAll
    const hello = helloOf('tls.lan').toString('latin1')
    const socket = await open('tls.lan')
    socket.end(hello, 'latin1')
    assert.equal(await allOf(socket), `got ${hello}`)
    assert.equal((await closedRecord()).egress?.closedBy, 'workload')
  })
  suite('is not what ended a tunnel whose other direction', () => {
    const closedBy = async () => (await closedRecord()).egress?.closedBy
    test('is silent for too long', async () => {
      reset()
      serve = (to) => to.resume().on('close', () => to.destroy())
      const socket = await toProxy('TLSv1.3', hurried)
      socket.resume().end(`${headTo('db.lan')}all of it`)
      assert.equal(await closedBy(), 'idle')
    })
    test('its destination breaks off', async () => {
      serve = (to) =>
        to.resume().on('end', () => to.write('half of an answer', () => to.resetAndDestroy()))
      const socket = await open('db.lan')
      socket.resume().end('asked')
      assert.equal(await closedBy(), 'error')
    })
    test('is cut off', async () => {
      const ended = Promise.withResolvers<void>()
      serve = (to) => to.resume().on('end', ended.resolve)
      const socket = await open('db.lan')
      socket.resume().end('asked')
      await ended.promise
      rig.live.sweep(() => ({ tag: 'quarantined' }))
      assert.equal(await closedBy(), 'cut')
      assert.equal((await closedRecord()).problem, 'quarantined')
    })
  })
  test('nothing of this was a bug of ours, nor is anything left open', async () => {
    for (let i = 0; i < 200 && rig.live.size() > 0; i += 1) await sleep(20)
    assert.deepEqual([rig.bugs, rig.live.size(), rig.tunnels()], [[], 0, 0])
  })
})
