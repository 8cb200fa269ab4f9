// Databases and the like: bytes that nobody looks into, for whom a rule names, to where it says; a real Redis behind it.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:https'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { after, suite, test } from 'node:test'
import { Redis } from 'ioredis'
import { needsRedis, startRedis } from '#test/ports/redis-server'
import { certificates, refusalOf, runRig, shop } from './rig.ts'

const certs = certificates()
const redis = needsRedis.skip ? undefined : await startRedis()
const port = redis?.port ?? 6379
const other = 'spiffe://mesh.example/ns/shop/sa/other'
const rig = await runRig(certs, {
  rules: [
    {
      id: 'shop',
      destinations: [
        { hosts: ['cache.lan'], ports: [port], protocol: 'tcp', opens: ['127.0.0.0/8'] },
        { networks: ['127.0.0.1/32'], ports: [port], protocol: 'tcp' },
      ],
    },
    { id: 'other', workloads: [other], destinations: [{ hosts: ['cache.lan'], ports: [443] }] },
  ],
})
rig.dns.set('cache.lan', [{ type: 'A', address: '127.0.0.1' }])
after(() => redis?.stop())

/** As the README has it: a tunnel as a socket, and a port of this machine that leads through one. */
const svid = certs.workload(shop)
const tunnel = (place: string): Promise<Socket> =>
  new Promise((resolve, reject) => {
    request({
      host: '127.0.0.1',
      servername: 'localhost', // Node would take it from the Host header
      port: rig.port,
      ca: certs.outsideRoot.pem,
      cert: svid.pem,
      key: svid.keyPem,
      method: 'CONNECT',
      path: place,
      headers: { host: place }, // Node would name the proxy
      agent: false,
    })
      .once('connect', (answer, socket: Socket) =>
        answer.statusCode === 200
          ? resolve(socket)
          : reject(new Error(String(answer.headers['x-sallyport-error']))),
      )
      .once('error', reject)
      .end()
  })
const portTo = async (place: string): Promise<number> => {
  const server = createServer((client) => {
    client.on('error', () => {})
    tunnel(place).then(
      (socket) => client.pipe(socket.on('error', () => {})).pipe(client),
      () => client.destroy(),
    )
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  after(() => server.close())
  return (server.address() as AddressInfo).port
}

suite('Redis through the proxy', needsRedis, () => {
  for (const [by, host] of [
    ['its name', 'cache.lan'],
    ['its address', '127.0.0.1'],
  ] as const)
    test(`is reached by ${by}, and the record says that nobody looked`, async () => {
      const client = new Redis(await portTo(`${host}:${port}`), { retryStrategy: () => null })
      await client.set(host, 'x'.repeat(100_000))
      assert.equal((await client.get(host))?.length, 100_000)
      await client.quit()
      const { egress, bytesIn, bytesOut } = await rig.recordOf(
        (event) => event.egress?.host === host && event.egress.phase === 'closed',
      )
      assert.deepEqual([egress?.protocol, egress?.serverName], ['tcp', 'not-inspected'])
      assert.ok(bytesIn > 100_000 && bytesOut > 100_000)
    })
  test('is not at another port', async () => {
    await assert.rejects(tunnel('cache.lan:1'), /destination-denied/)
  })
  test('is not reached by a workload that may only go there over TLS', async () => {
    const { wire, answer } = await rig.connect(`cache.lan:${port}`, { as: other })
    wire.destroy()
    assert.equal(refusalOf(answer), '403 destination-denied')
  })
})
