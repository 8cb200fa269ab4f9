import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, scryptSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { createServer, request } from 'node:https'
import { createServer as createNetServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { after, suite, test } from 'node:test'
import { promisify } from 'node:util'
import { decodeJwt } from 'jose'
import { stringify } from 'yaml'
import type { AuditEvent } from '#contract/audit-event'
import { noLog } from '#contract/telemetry'
import { bundleFile } from '#config/policy/sources'
import { formatFaults, loadConfig } from '#config/load'
import { startExchange } from '#exchange/main'
import { startGateway } from '#gateway/main'
import { makeWebCertificate } from '#test/fakes/https-server'
import { makeCertificate, rootExtensions } from '#test/fakes/openssl'
import {
  askForSvid,
  newRequest,
  svidIn,
  type Answer,
  type Question,
} from '#test/exchange/running-exchange'

const run = promisify(execFile)
const orders = 'spiffe://mesh.example/ns/shop/sa/orders'
const gatewayId = 'spiffe://mesh.example/gateway'
const idOf = (name: string) => `spiffe://mesh.example/legacy/${name}`

const folder = mkdtempSync(join(tmpdir(), 'sallyport-legacy-way-'))
const at = (name: string) => join(folder, name)
const put = (name: string, text: string) => {
  writeFileSync(at(name), text, { mode: 0o600 })
  return at(name)
}
after(() => rmSync(folder, { recursive: true }))

const freePort = async () => {
  const server = createNetServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** What each of them has; the README's own commands use it. */
const env = {
  KEY: 'printer-key-0123456789abcdef0123456789abcdef',
  PASSWORD: 'as long as people choose them',
  SECRET: 'what two sides share, and is long enough',
}
const salt = Buffer.from('sixteen bytes of')
const plant = makeCertificate({ subject: '/CN=plant', extensions: rootExtensions() })
const robot = makeCertificate({
  issuer: plant,
  subject: '/CN=robot',
  extensions: ['extendedKeyUsage = clientAuth', 'subjectAltName = DNS:robot.plant.example'],
})
put('robot.pem', robot.pem)
put('robot.key', robot.keyPem)
const credentials = {
  printer: {
    method: 'api_key',
    keyHashes: [`sha256:${createHash('sha256').update(env.KEY).digest('hex')}`],
  },
  mainframe: {
    method: 'basic',
    passwordHashes: [
      `scrypt:14:${salt.toString('base64url')}:${scryptSync(env.PASSWORD, salt, 32, { N: 2 ** 14 }).toString('base64url')}`,
    ],
  },
  robot: {
    method: 'client_certificate',
    caFile: put('plant.pem', plant.pem),
    dnsNames: ['robot.plant.example'],
  },
  batch: { method: 'signed_request', secret: { file: put('batch-secret', env.SECRET) } },
} as const
const names = Object.keys(credentials) as (keyof typeof credentials)[]

const exchangePort = await freePort()
const exchangeUrl = `https://localhost:${exchangePort}`
const rootsFile = at('roots.pem')
const shared = { version: 1, trustDomain: 'mesh.example' }
const load = async <K extends 'gateway' | 'exchange'>(kind: K, config: object) => {
  put(`${kind}.yaml`, stringify({ ...shared, ...config }))
  const loaded = await loadConfig(kind, at(`${kind}.yaml`), {})
  if (!loaded.ok) throw new Error(formatFaults(loaded.faults))
  return loaded.config
}

const policy = { bundleFile, requires: { kinds: ['legacy'] } }
const requires = { policy: { requires: { kinds: ['legacy'] } } }
const exchange = await startExchange(
  await load('exchange', {
    issuers: {},
    identities: [],
    spiffeId: 'spiffe://mesh.example/exchange',
    issuer: exchangeUrl,
    listeners: { exchange: { port: exchangePort }, admin: { port: 0 } },
    gateways: [gatewayId],
    joinTokens: [
      { spiffeId: gatewayId, file: at('join-gateway') },
      { spiffeId: orders, file: at('join-orders') },
    ],
    legacy: {
      callers: Object.fromEntries(
        names.map((name) => [name, { spiffeId: idOf(name), credential: credentials[name] }]),
      ),
    },
    grants: [
      {
        name: 'legacy',
        subjects: ['spiffe://mesh.example/legacy/*'],
        tokens: ['access-token'],
        audiences: [gatewayId],
        ...requires,
      },
    ],
    policy,
    drainSeconds: 1,
    audit: { file: at('exchange.jsonl') },
  }),
  { log: noLog },
)
after(exchange.close)
put('roots.pem', exchange.roots())

const ordersSvid = await (async () => {
  const { key, csr } = newRequest()
  const joinToken = readFileSync(at('join-orders'), 'utf8').trim()
  const ask = ({ path, headers, body }: Question) =>
    new Promise<Answer>((resolve, reject) => {
      const req = request(
        {
          host: 'localhost',
          port: exchangePort,
          method: 'POST',
          path,
          headers,
          ca: exchange.roots(),
        },
        (res) => {
          const chunks: Buffer[] = []
          res.on('data', (chunk: Buffer) => chunks.push(chunk))
          res.on('end', () => {
            const whole = Buffer.concat(chunks)
            resolve({
              status: res.statusCode ?? 0,
              headers: res.headers,
              body: whole,
              json: () => JSON.parse(whole.toString()) as Record<string, unknown>,
            })
          })
        },
      )
      req.on('error', reject)
      req.end(body)
    })
  const answer = await askForSvid(ask, csr, { authorization: `Bearer ${joinToken}` })
  assert.equal(answer.status, 200, answer.body.toString())
  return { ...svidIn(answer), key }
})()
const service = createServer(
  {
    cert: ordersSvid.x509_svid,
    key: ordersSvid.key,
    ca: ordersSvid.bundle,
    requestCert: true,
    rejectUnauthorized: true,
  },
  (req, res) => {
    const peer = (req.socket as TLSSocket).getPeerX509Certificate()
    const claims = decodeJwt((req.headers.authorization ?? '').replace('Bearer ', ''))
    const { sub, aud } = claims
    res.end(JSON.stringify({ peer: peer?.subjectAltName, sub, aud, legacy: claims['legacy'] }))
  },
)
service.listen(0, '127.0.0.1')
await once(service, 'listening')
after(() => {
  service.close()
  service.closeAllConnections()
})

const edge = makeWebCertificate()
put('edge.pem', edge.server.pem)
put('edge.key', edge.server.keyPem)
const gateway = await startGateway(
  await load('gateway', {
    issuers: {
      mesh: {
        issuer: exchangeUrl,
        audiences: [gatewayId],
        types: ['at+jwt'],
        jwksUrl: `${exchangeUrl}/keys`,
        caFile: rootsFile,
        kind: 'legacy',
      },
    },
    identities: names.map((name) => ({
      name,
      issuer: 'mesh',
      match: { sub: idOf(name) },
      spiffeId: idOf(name),
    })),
    spiffeId: gatewayId,
    identity: { source: 'exchange', joinTokenFile: at('join-gateway') },
    exchange: {
      url: exchangeUrl,
      spiffeId: 'spiffe://mesh.example/exchange',
      caFile: rootsFile,
      timeoutMs: 10_000, // as the next line: a busy machine is no matter of these tests
    },
    limits: { load: { maxEventLoopDelayMs: 0 } },
    listeners: {
      ingress: {
        port: 0,
        tls: { certificates: [{ certificateFile: at('edge.pem'), keyFile: at('edge.key') }] },
      },
      admin: { port: 0 },
    },
    policy: { bundleFile },
    upstreams: {
      orders: {
        endpoints: [`https://localhost:${(service.address() as AddressInfo).port}`],
        spiffeId: orders,
      },
    },
    routes: [
      {
        id: 'orders',
        team: 'shop',
        match: { hosts: ['localhost'], path: { prefix: '/orders' } },
        authenticate: { issuers: ['mesh'] },
        ...requires,
        upstream: 'orders',
      },
    ],
    drainSeconds: 0,
    audit: { file: at('gateway.jsonl') },
  }),
  { log: noLog, revision: 'test' },
)
after(gateway.close)

const callThroughIngress = async (token: string) => {
  const req = request({
    host: '127.0.0.1',
    port: gateway.ingress.port,
    servername: 'localhost',
    ca: edge.ca,
    path: '/orders/7',
    headers: { host: 'localhost', authorization: `Bearer ${token}` },
  })
  req.end()
  const [res] = (await once(req, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of res) chunks.push(chunk as Buffer)
  return { status: res.statusCode, body: Buffer.concat(chunks).toString() }
}

const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')
const [, section = ''] = /^### Callers without any token\n(.*?)^##/ms.exec(readme) ?? []
const scripts = [...section.matchAll(/^```sh\n(.*?)^```/gms)].map(([, script = '']) => script)
assert.equal(scripts.length, names.length, 'the README shows each of them')

for (const [i, name] of names.entries())
  suite(`${name}, by its ${credentials[name].method}`, () => {
    const ask = async (more: Record<string, string> = {}) => {
      const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', scripts[i] ?? ''], {
        cwd: folder,
        env: { ...process.env, EXCHANGE: exchangeUrl, ...env, ...more },
        timeout: 120_000,
      })
      return JSON.parse(stdout) as Record<string, string>
    }

    test('gets an identity by the README’s curl, calls through ingress, and the service sees the right SPIFFE ID', async () => {
      const { access_token: token = '', ...rest } = await ask()
      assert.ok(token, JSON.stringify(rest))
      const { status, body } = await callThroughIngress(token)
      assert.equal(status, 200, body)
      assert.deepEqual(JSON.parse(body), {
        peer: `URI:${gatewayId}`,
        sub: idOf(name),
        aud: orders,
        legacy: credentials[name].method,
      })
    })

    if (credentials[name].method !== 'client_certificate')
      test('gets none with another secret', async () => {
        const wrong = { KEY: 'wrong', PASSWORD: 'wrong', SECRET: 'wrong' }
        assert.equal((await ask(wrong))['error'], 'invalid_client')
      })
  })

test('every step left its record, and no secret in any', () => {
  const text =
    readFileSync(at('exchange.jsonl'), 'utf8') + readFileSync(at('gateway.jsonl'), 'utf8')
  const records = text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as AuditEvent)
  for (const name of names) {
    const [asked] = records.filter(
      ({ client, outcome }) => client === name && outcome === 'answered',
    )
    assert.equal(asked?.spiffeId, idOf(name))
    assert.equal(asked.policy?.allow, true)
  }
  for (const secret of [...Object.values(env), 'eyJ'])
    assert.ok(!text.includes(secret), 'a secret in a record')
})
