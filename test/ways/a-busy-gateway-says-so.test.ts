import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { eventually, meshRig, openRoute } from './rig.ts'

const rig = await meshRig()
after(rig.close)
const waiting: (() => void)[] = []
const service = await rig.service((req, res) => {
  if (req.url?.includes('slow')) return void waiting.push(() => res.end('late'))
  if (req.url?.includes('endless')) {
    const more = () => {
      while (!res.destroyed && res.write(Buffer.alloc(65_536)));
      if (!res.destroyed) res.once('drain', more)
    }
    return more()
  }
  res.end('answered')
})
const configuration = (more: object, ingress: object = {}) => ({
  upstreams: { service: { endpoints: [service.url], spiffeId: 'spiffe://mesh.test/service' } },
  routes: [openRoute('open', '/open', { totalTimeoutMs: 0 })],
  listeners: { ingress: { healthPath: '/alive', ...ingress } },
  ...more,
})

test('more requests under way than may be are refused, and health is still answered', async () => {
  const gateway = await rig.gateway('few', configuration({ limits: { load: { maxInFlight: 2 } } }))
  const slow = [gateway.ask('/open/slow'), gateway.ask('/open/slow')]
  await eventually(() => waiting.length === 2 || undefined)
  const refused = await gateway.ask('/open/x')
  assert.deepEqual(
    [refused.status, refused.headers['x-sallyport-problem'], refused.headers['retry-after']],
    [503, 'overloaded', '1'],
  )
  assert.equal((await gateway.ask('/alive')).status, 200)
  for (const finish of waiting) finish()
  assert.deepEqual(
    (await Promise.all(slow)).map(({ text }) => text),
    ['late', 'late'],
  )
  assert.equal((await gateway.ask('/open/x')).status, 200)
  const record = await gateway.record(({ problem }) => problem === 'overloaded')
  assert.deepEqual([record.step, record.outcome], ['load', 'refused'])
})

test('a process that is too large refuses what comes, says why in the record, and health is still answered', async () => {
  const gateway = await rig.gateway(
    'large',
    configuration({ limits: { load: { maxMemoryBytes: 1 } } }),
  )
  await eventually(async () => (await gateway.ask('/open/x')).status === 503 || undefined)
  assert.equal((await gateway.ask('/alive')).status, 200)
  const record = await gateway.record(({ problem }) => problem === 'overloaded')
  assert.match(record.cause ?? '', /bytes of memory in use, allowed are 1/)
})

test('a process whose event loop is late refuses what comes, and all who ask after it are answered', async () => {
  const gateway = await rig.gateway(
    'late',
    configuration({ limits: { load: { maxEventLoopDelayMs: 100 } } }),
  )
  // The gateway runs in this process: what holds up the one loop holds up the other.
  let isBusy = true
  const holdUp = () => {
    const until = performance.now() + 250
    while (performance.now() < until);
    if (isBusy) setImmediate(holdUp)
  }
  holdUp()
  const askAdmin = async (path: string) =>
    (await fetch(`http://127.0.0.1:${gateway.admin.port}${path}`)).status
  const patienceMs = 60_000
  try {
    const refused = await eventually(async () => {
      const answer = await gateway.ask('/open/x')
      return answer.headers['x-sallyport-problem'] === 'overloaded' ? answer : undefined
    }, patienceMs)
    assert.deepEqual([refused.status, refused.headers['retry-after']], [503, '1'])
    const healthy = await Promise.all([
      gateway.ask('/alive').then(({ status }) => status),
      ...['/healthz', '/readyz', '/metrics'].map(askAdmin),
    ])
    assert.deepEqual(healthy, [200, 200, 200, 200])
  } finally {
    isBusy = false
  }
  await eventually(
    async () => (await gateway.ask('/open/x')).text === 'answered' || undefined,
    patienceMs,
  )
  const record = await gateway.record(({ problem }) => problem === 'overloaded')
  assert.match(record.cause ?? '', /^the event loop is \d+ ms late, allowed are 100$/)
  assert.deepEqual([record.step, record.outcome, record.upstream], ['load', 'refused', undefined])
})

test('a caller that does not read its answer is cut, and the record says so', async () => {
  const limits = { slowReadGraceMs: 1000, minReadBytesPerSecond: 10_000_000 }
  const gateway = await rig.gateway('slow', configuration({}, { limits }))
  const socket = connectTls({
    host: '127.0.0.1',
    port: gateway.port,
    servername: 'localhost',
    ca: gateway.ca,
  })
  socket.on('error', () => {})
  await once(socket, 'secureConnect')
  socket.pause()
  socket.write('GET /open/endless HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const record = await gateway.record(({ request }) => request?.path === '/open/endless')
  assert.equal(record.outcome, 'failed')
  socket.destroy()
})

/** A load balancer's connection: a PROXY header, version 2, then TLS. */
const behindProxy = async (
  port: number,
  ca: string,
  header: Buffer,
): Promise<TLSSocket | Socket> => {
  const tcp = connectTcp(port, '127.0.0.1')
  tcp.on('error', () => {})
  await once(tcp, 'connect')
  tcp.write(header)
  const tls = connectTls({ socket: tcp, servername: 'localhost', ca })
  tls.on('error', () => {})
  await Promise.race([once(tls, 'secureConnect'), once(tcp, 'close')]).catch(() => {})
  return tls
}
const headerFor = (address: readonly number[]) =>
  Buffer.concat([
    Buffer.from('0d0a0d0a000d0a515549540a', 'hex'),
    Buffer.from([0x21, 0x11, 0, 12]),
    Buffer.from([...address, 127, 0, 0, 1]),
    Buffer.from([0x30, 0x39, 0x01, 0xbb]),
  ])

test('a load balancer that is named tells whose connection it is; without its header there is none', async () => {
  const trusting = { proxyProtocol: { trustedProxies: ['127.0.0.0/8'] } }
  const gateway = await rig.gateway('proxied', configuration({}, trusting))
  const socket = await behindProxy(gateway.port, gateway.ca, headerFor([203, 0, 113, 9]))
  socket.write('GET /open/proxied HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  const [chunk] = (await once(socket, 'data')) as [Buffer]
  assert.match(chunk.toString(), /^HTTP\/1.1 200/)
  const record = await gateway.record(({ request }) => request?.path === '/open/proxied')
  assert.equal(record.request?.address, '203.0.113.9')
  await assert.rejects(gateway.ask('/open/x'))
  assert.match(
    await gateway.metrics(),
    /^sallyport_tls_handshakes_total\{listener="ingress",version="TLSv1.3",cipher="[A-Z0-9_]+",resumed="no"\} 1$/m,
  )
})

test('the header of a load balancer that nobody named is no TLS', async () => {
  const gateway = await rig.gateway('direct', configuration({}))
  const socket = await behindProxy(gateway.port, gateway.ca, headerFor([203, 0, 113, 9]))
  if (!socket.closed) await once(socket, 'close')
  assert.equal((await gateway.ask('/open/x')).status, 200)
})
