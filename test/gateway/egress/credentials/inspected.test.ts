// Credentials on requests within TLS that the gateway looks into.
import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { suite, test } from 'node:test'
import { secret } from '#contract/secret'
import { runDestination, runInspectionRig } from '../inspection-rig.ts'
import { certificates, refusalOf } from '../rig.ts'

const token = 'tok_live_0123456789'
const certs = certificates()
const got: NodeJS.Dict<string | string[]>[] = []
const answer = (req: IncomingMessage) => {
  got.push(req.headers)
  return req.url === '/v1/echo' ? JSON.stringify(req.headers) : 'fine'
}
const overHttp1 = await runDestination(certs.outside('DNS:one.test'), (req, res) => {
  res.end(answer(req))
})
const overHttp2 = await runDestination(
  certs.outside('DNS:two.test'),
  (req, res) => void res.end(answer(req)),
  { alsoHttp2: true },
)
const destination = (host: string, port: number, more: object) => ({
  hosts: [host],
  protocol: 'tls-inspected' as const,
  ports: [port],
  opens: ['127.0.0.0/8'],
  ...more,
})
const rig = await runInspectionRig(certs, ['one.test', 'two.test'], {
  rules: [
    {
      id: 'shop',
      destinations: [
        destination('one.test', overHttp1.port, { paths: ['/v1'], credential: 'api' }),
        destination('one.test', overHttp1.port, { paths: ['/open'] }),
        destination('two.test', overHttp2.port, { paths: ['/v1'], credential: 'api' }),
      ],
    },
  ],
  more: { credentials: { api: { kind: 'bearer', token: secret(token), scanBytes: 65_536 } } },
})
for (const name of ['one.test', 'two.test'])
  rig.dns.set(name, [{ type: 'A', address: '127.0.0.1' }])

for (const [how, host, port] of [
  ['HTTP/1.1', 'one.test', overHttp1.port],
  ['HTTP/2', 'two.test', overHttp2.port],
] as const)
  suite(`on requests within inspected TLS, to a destination of ${how}`, () => {
    const place = `${host}:${port}`
    const get = (path: string, ...headers: string[]) =>
      [`GET ${path} HTTP/1.1`, `Host: ${place}`, ...headers, '', ''].join('\r\n')

    test("it stands in the place of the workload's own, and in the record by name", async () => {
      got.length = 0
      const wire = await rig.inside(place)
      wire.write(get('/v1/x', 'Authorization: mine', 'Accept-Encoding: gzip'))
      assert.equal((await wire.answer()).status, 200)
      wire.destroy()
      assert.equal(got[0]?.['authorization'], `Bearer ${token}`)
      assert.equal(got[0]?.['accept-encoding'], 'identity')
      const record = await rig.requestRecord(wire.decisionId, '/v1/x')
      assert.equal(record.egress?.credential?.id, 'api')
      assert.ok(!JSON.stringify(rig.records).includes(token))
    })
    test('an answer that holds it is stopped', async () => {
      const wire = await rig.inside(place)
      wire.write(get('/v1/echo'))
      assert.equal(refusalOf(await wire.answer()), '502 credential-returned')
      assert.ok(!wire.received().includes(token))
      wire.destroy()
    })
  })

test('another path through the same tunnel does not get it', async () => {
  got.length = 0
  const place = `one.test:${overHttp1.port}`
  const wire = await rig.inside(place)
  for (const path of ['/v1/a', '/open/b', '/v1/c']) {
    wire.write(`GET ${path} HTTP/1.1\r\nHost: ${place}\r\n\r\n`)
    await wire.answer()
  }
  wire.destroy()
  assert.deepEqual(
    got.map(({ authorization }) => authorization),
    [`Bearer ${token}`, undefined, `Bearer ${token}`],
  )
})
