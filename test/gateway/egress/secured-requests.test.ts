// Requests whose rule says `protocol: https`: the workload asks the proxy, and the proxy makes the TLS, over real sockets.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { createServer as createPlain, type AddressInfo } from 'node:net'
import { createServer } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { after, suite, test } from 'node:test'
import { egressAllowlist } from '#plugins/egress-allowlist/guard'
import type { EgressAllowlistOptions } from '#plugins/egress-allowlist/options'
import { makeCertificate, rootExtensions } from '#test/fakes/openssl'
import { certificates, refusalOf, runRig, shop } from './rig.ts'

const certs = certificates()
const strangers = makeCertificate({ subject: '/CN=strangers', extensions: rootExtensions() })
/** What the destination saw: where a request went by TLS and by HTTP. */
const seen: { serverName: unknown; host: string | undefined; url: string | undefined }[] = []
const serve: RequestListener = (req, res) => {
  const { servername } = req.socket as TLSSocket & { servername?: unknown }
  seen.push({ serverName: servername, host: req.headers.host, url: req.url })
  res.end('over TLS')
}
const listening = async (certificate: { pem: string; keyPem: string }) => {
  const server = createServer({ cert: certificate.pem, key: certificate.keyPem }, serve)
  server.on('tlsClientError', () => {}) // the proxy does not believe some of them
  await once(server.listen(0, '127.0.0.1'), 'listening')
  after(() => server.close().closeAllConnections())
  return (server.address() as AddressInfo).port
}
const good = await listening(certs.outside('DNS:api.lan, DNS:www.api.lan'))
const otherName = await listening(certs.outside('DNS:other.lan'))
const ofAddress = await listening(certs.outside('IP:127.0.0.1'))
const untrusted = await listening(
  makeCertificate({
    issuer: strangers,
    subject: '/CN=x',
    extensions: ['subjectAltName = DNS:api.lan'],
  }),
)
const noTls = createPlain((socket) => socket.on('error', () => {}).end('SSH-2.0-x\r\n'))
await once(noTls.listen(0, '127.0.0.1'), 'listening')
const noTlsPort = (noTls.address() as AddressInfo).port
const silent = createPlain((socket) => socket.on('error', () => {}))
await once(silent.listen(0, '127.0.0.1'), 'listening')
const silentPort = (silent.address() as AddressInfo).port
after(() => void [noTls.close(), silent.close()])

const ports = [good, otherName, untrusted, noTlsPort, silentPort]
const opens = ['127.0.0.0/8']
const rig = await runRig(certs, {
  rules: [
    {
      id: 'shop',
      destinations: [
        { hosts: ['api.lan'], protocol: 'https', ports, opens, paths: ['/open'] },
        { networks: ['127.0.0.1/32'], protocol: 'https', ports: [ofAddress] },
        { hosts: ['plain.lan'], protocol: 'http', ports: [good], opens },
      ],
    },
  ],
  more: { connectTimeoutMs: 800 },
})
for (const name of ['api.lan', 'plain.lan'])
  rig.dns.set(name, [{ type: 'A', address: '127.0.0.1' }])

const get = async (url: string, host = new URL(url).host) => {
  const wire = await rig.dialProxy(shop)
  wire.write(`GET ${url} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  const answer = await wire.answer()
  wire.destroy()
  return answer
}

suite('a request goes on over TLS', () => {
  for (const scheme of ['http', 'https', 'HTTPS'])
    test(`asked for with ${scheme}://`, async () => {
      seen.length = 0
      const answer = await get(`${scheme}://api.lan:${good}/open/a?b=c`)
      assert.deepEqual([answer.status, answer.body], [200, 'over TLS'])
      const host = `api.lan:${good}`
      assert.deepEqual(seen, [{ serverName: 'api.lan', host, url: '/open/a?b=c' }])
      const record = await rig.recordOf(
        ({ egress, request }) => request?.path === '/open/a' && egress?.protocol === 'https',
      )
      assert.equal(record.egress?.tls, 'TLSv1.3')
      assert.equal(record.egress?.port, good)
    })
  test('to an address, which the certificate must name', async () => {
    seen.length = 0
    const answer = await get(`https://127.0.0.1:${ofAddress}/`)
    assert.equal(answer.status, 200)
    assert.equal(seen[0]?.serverName, false)
  })
})

suite('it is refused, and the destination has not seen a request', () => {
  for (const [name, port, refusal] of [
    ['a certificate of another name', otherName, '502 destination-untrusted'],
    ['a certificate of a stranger', untrusted, '502 destination-untrusted'],
    ['a server without TLS', noTlsPort, '502 destination-untrusted'],
    ['a server that says nothing', silentPort, '504 destination-timeout'],
  ] as const)
    test(name, async () => {
      seen.length = 0
      assert.equal(refusalOf(await get(`https://api.lan:${port}/open`)), refusal)
      assert.deepEqual(seen, [])
    })
  test('another path', async () => {
    assert.equal(refusalOf(await get(`https://api.lan:${good}/closed`)), '403 destination-denied')
  })
  test('a Host of another place', async () => {
    const answer = await get(`https://api.lan:${good}/open`, 'other.lan')
    assert.equal(refusalOf(answer), '400 authority-mismatch')
  })
  test('https:// to a destination of plain HTTP', async () => {
    assert.equal(refusalOf(await get(`https://plain.lan:${good}/`)), '403 destination-denied')
  })
  test('a tunnel', async () => {
    const { wire, answer } = await rig.connect(`api.lan:${good}`)
    wire.destroy()
    assert.equal(refusalOf(answer), '403 destination-denied')
  })
})

suite('which port is meant', () => {
  const options: Pick<EgressAllowlistOptions, 'rules'> = {
    rules: [
      {
        id: 'shop',
        team: 'shop',
        workloads: [shop],
        mode: 'enforce',
        limits: { maxTunnels: 1, tunnelSeconds: 1, idleSeconds: 1 },
        destinations: (['http', 'https'] as const).map((protocol) => ({
          hosts: protocol === 'http' ? ['both.lan', 'old.lan'] : ['both.lan', 'new.lan'],
          protocol,
          withoutServerName: false,
          encryptedClientHello: false,
        })),
      },
    ],
  }
  const list = egressAllowlist({ deny: [], allow: [], nat64Prefixes: [], ...options })
  for (const [url, outcome] of [
    ['http://new.lan:80', 'https 443'],
    ['https://new.lan:443', 'https 443'],
    ['https://new.lan:80', 'refused'],
    ['http://new.lan:443', 'https 443'],
    ['http://new.lan:8080', 'refused'],
    ['http://old.lan:80', 'http 80'],
    ['https://old.lan:443', 'refused'],
    ['http://both.lan:80', 'https 443'], // what may go over TLS does, in whatever order they stand
  ] as const)
    test(`${url}: ${outcome}`, () => {
      const [, scheme, host = '', port] = /^(https?):\/\/([^:]+):(\d+)$/.exec(url) ?? []
      const decided = list.decide({
        spiffeId: shop as never,
        host,
        isAddress: false,
        port: Number(port),
        ask: { kind: 'request', scheme: scheme as 'http', method: 'GET', path: '/' },
      })
      const said = decided.ok ? `${decided.value.protocol} ${decided.value.port}` : 'refused'
      assert.equal(said, outcome)
    })
})
