// What a destination of plain requests can do to the proxy, or to the workload through it, over real sockets.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { certificates, refusalOf, runRig, shop } from './rig.ts'

let said = ''
let waitedForBytes = 0
const destination = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {})
  let bytes = 0
  socket.on('data', (chunk: Buffer) => {
    const wasEnough = bytes > waitedForBytes
    bytes += chunk.length
    if (bytes > waitedForBytes && !wasEnough) socket.end(said, 'latin1')
  })
})
await once(destination.listen(0, '127.0.0.1'), 'listening')
const { port } = destination.address() as AddressInfo
/** Counts what comes, and never answers before its end: then it tells how much it was. */
const counting = createServer({ allowHalfOpen: true }, (socket) => {
  let bytes = 0
  socket.on('error', () => {})
  socket.on('data', (chunk: Buffer) => (bytes += chunk.length))
  socket.on('end', () => socket.end(`got ${bytes}`))
})
await once(counting.listen(0, '127.0.0.1'), 'listening')
const countingPort = (counting.address() as AddressInfo).port
after(() => {
  destination.close()
  counting.close()
})

const opens = ['127.0.0.0/8']
const rules = (limits: { maxBytesPerDay?: number } = {}) => ({
  rules: [
    {
      id: 'shop',
      destinations: [
        { hosts: ['api.lan'], ports: [port], protocol: 'http' as const, opens },
        { hosts: ['db.lan'], ports: [countingPort], protocol: 'tcp' as const, opens },
      ],
      limits,
    },
  ],
})
const rig = await runRig(certificates(), rules())
for (const name of ['api.lan', 'db.lan']) rig.dns.set(name, [{ type: 'A', address: '127.0.0.1' }])

const headOf = (method: string, ...headers: string[]) =>
  [`${method} http://api.lan:${port}/ HTTP/1.1`, `Host: api.lan:${port}`, ...headers, '', ''].join(
    '\r\n',
  )
const get = async (answer: string) => {
  said = answer
  const wire = await rig.dialProxy(shop)
  wire.write(headOf('GET'))
  const got = await wire.answer()
  wire.destroy()
  return got
}
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n'

suite('an answer that is none is a 502, and ends nothing but itself', () => {
  for (const answer of [
    'HTTP/1.1 099 Low\r\n\r\n', // writeHead throws for it
    'HTTP/1.1 000 None\r\n\r\n',
    'HTTP/1.1 101 Switching\r\n\r\nabc',
    'HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nabc',
    `${ok}Content-Length: 3\r\n\r\nhi`,
    `${ok}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
    `${ok}X: a\x01b\r\n\r\nhi`,
    `${ok}X: a\rb\r\n\r\nhi`,
    `${ok}X : a\r\n\r\nhi`,
    `${ok}X: ${'y'.repeat(70_000)}\r\n\r\nhi`,
    'garbage',
    '',
    '\x16\x03\x01\x00\x05hello',
  ])
    test(JSON.stringify(answer.slice(0, 60)), async () => {
      assert.equal(refusalOf(await get(answer)), '502 destination-broken')
    })
})

suite('what is between two answers', () => {
  test('interim answers are not passed on, however many', async () => {
    const interim = 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(2000)
    const { status, body } = await get(`${interim}HTTP/1.1 103 Early\r\nX: y\r\n\r\n${ok}\r\nhi`)
    assert.deepEqual([status, body], [200, 'hi'])
  })
  test('a trailer is no way to speak as the proxy, nor to ask for credentials', async () => {
    const { head } = await get(
      'HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\nProxy-Status: x\r\nX-Sallyport-Error: x\r\nContent-Length: 0\r\n\r\n',
    )
    assert.doesNotMatch(head, /proxy-authenticate|proxy-status|x-sallyport-error/i)
    said =
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sallyport-Error\r\n\r\n2\r\nhi\r\n0\r\nX-Sallyport-Error: x\r\n\r\n'
    const wire = await rig.dialProxy(shop)
    wire.write(headOf('GET'))
    assert.doesNotMatch(await wire.until(/0\r\n\r\n$/), /x-sallyport-error/i)
    wire.destroy()
  })
})

test('a workload that ends its side of a tunnel still gets what the destination says to that', async () => {
  const { wire, answer } = await rig.connect(`db.lan:${countingPort}`)
  assert.equal(answer.status, 200)
  wire.socket.end('x'.repeat(5000))
  await wire.until(/got 5000/)
  await wire.end()
})

suite('bytes of a day', () => {
  const exceeded = '429 bytes-exceeded'
  test('plain answers are of it: the one that goes beyond is cut, and the next refused', async () => {
    await rig.reload(rules({ maxBytesPerDay: 1_000_000 }))
    said = `HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n${'x'.repeat(3_000_000)}`
    const wire = await rig.dialProxy(shop)
    wire.write(headOf('GET'))
    const text = await wire.end()
    assert.ok(text.length < 1_200_000, `${text.length} bytes came`)
    const { problem } = await rig.recordOf(({ egress, bytesOut }) => {
      return egress?.host === 'api.lan' && bytesOut > 900_000
    })
    assert.equal(problem, 'bytes-exceeded')
    assert.equal(refusalOf(await get(`${ok}\r\nhi`)), exceeded)
    assert.equal(refusalOf((await rig.connect(`db.lan:${countingPort}`)).answer), exceeded)
  })
  test('and so are plain bodies', async () => {
    await rig.reload(rules({ maxBytesPerDay: 1_500_000 }))
    said = `${ok}\r\nhi`
    waitedForBytes = 900_000
    const wire = await rig.dialProxy(shop)
    wire.write(headOf('POST', 'Content-Length: 900000'))
    wire.write('x'.repeat(900_000))
    assert.equal(refusalOf(await wire.answer()), exceeded)
    wire.destroy()
    assert.equal(refusalOf(await get(`${ok}\r\nhi`)), exceeded)
  })
})

test('nothing of this was a bug of ours, nor is anything left open', async () => {
  for (let i = 0; i < 50 && rig.live.size() > 0; i += 1) await sleep(20)
  assert.deepEqual([rig.bugs, rig.live.size(), rig.tunnels()], [[], 0, 0])
})
