import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { createServer, request } from 'node:https'
import { createServer as createNetServer, type AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { decodeJwt } from 'jose'
import { stringify } from 'yaml'
import type { AuditEvent } from '#contract/audit-event'
import { noLog } from '#contract/telemetry'
import { tokenExchangeGrant, tokenTypes, type X509SvidAnswer } from '#contract/token-exchange'
import { bundleFile } from '#config/policy/sources'
import { formatFaults, loadConfig } from '#config/load'
import { startExchange } from '#exchange/main'
import { startGateway } from '#gateway/main'
import { createCsr } from '#identity/svid/csr'
import { makeWebCertificate } from '#test/fakes/https-server'
import { findTool, without } from '../tools.ts'
import { runApiserver } from './kubernetes/running-apiserver.ts'

const etcd = findTool('etcd')
const kubeApiserver = findTool('kube-apiserver')
const skip = without({ etcd, 'kube-apiserver': kubeApiserver })

const audience = 'sallyport'
const gatewayId = 'spiffe://mesh.example/sallyport/gateway'
const idOf = (account: string) => `spiffe://mesh.example/ns/shop/sa/${account}`
/** The API server itself goes on taking a token for ten seconds: what it said of it before is in its cache. */
const cutOffTimeoutMs = 120_000
const pollMs = 500

const folder = mkdtempSync(join(tmpdir(), 'sallyport-cluster-'))
const at = (name: string) => join(folder, name)
/** What is to be ended, the last first; also if setting up has failed. */
const closing: (() => unknown)[] = [() => rmSync(folder, { recursive: true })]
const closeAll = async () => {
  for (const close of closing.toReversed()) await close()
}
after(closeAll)
/** As kubelet replaces a projected token. */
const project = (name: string, token: string) => {
  writeFileSync(at(`${name}.new`), token)
  renameSync(at(`${name}.new`), at(name))
}

const freePort = async () => {
  const server = createNetServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

type Sent = { readonly status: number; readonly body: Record<string, unknown> }
const send = async (
  port: number,
  ca: string,
  path: string,
  headers: Record<string, string>,
  body?: string | Buffer,
): Promise<Sent> => {
  const method = body === undefined ? 'GET' : 'POST'
  const asked = request({
    host: '127.0.0.1',
    port,
    servername: 'localhost',
    ca,
    agent: false,
    method,
    path,
    headers,
  })
  asked.end(body)
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(chunk as Buffer)
  const text = Buffer.concat(chunks).toString()
  return { status: answer.statusCode ?? 0, body: JSON.parse(text) as Record<string, unknown> }
}

/** A cluster with two pods of the shop, and an exchange and a gateway that know it; every process has a service account. */
const setUp = async () => {
  const cluster = await runApiserver(etcd ?? '', kubeApiserver ?? '')
  closing.push(cluster.close)
  const { ask, tokenOf } = cluster
  const make = (path: string, kind: string, more: object) =>
    ask('POST', path, {
      apiVersion: path.startsWith('/api/') ? 'v1' : 'rbac.authorization.k8s.io/v1',
      kind,
      ...more,
    })
  for (const name of ['sallyport', 'shop'])
    await make('/api/v1/namespaces', 'Namespace', { metadata: { name } })
  const account = (namespace: string, name: string) =>
    make(`/api/v1/namespaces/${namespace}/serviceaccounts`, 'ServiceAccount', {
      metadata: { name },
    })
  for (const name of ['exchange', 'gateway']) await account('sallyport', name)
  for (const name of ['web', 'job', 'orders']) await account('shop', name)
  const pod = (name: string, serviceAccountName: string) =>
    make('/api/v1/namespaces/shop/pods', 'Pod', {
      metadata: { name },
      spec: { serviceAccountName, containers: [{ name: 'main', image: 'none' }] },
    })
  await pod('web-1', 'web')
  await pod('job-1', 'job')
  const mayReview = await make(
    '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
    'ClusterRoleBinding',
    {
      metadata: { name: 'sallyport-token-review' },
      roleRef: {
        apiGroup: 'rbac.authorization.k8s.io',
        kind: 'ClusterRole',
        name: 'system:auth-delegator',
      },
      subjects: [{ kind: 'ServiceAccount', namespace: 'sallyport', name: 'exchange' }],
    },
  )
  assert.ok(mayReview['metadata'])

  writeFileSync(at('cluster-ca.pem'), cluster.ca)
  project('exchange-token', await tokenOf({ namespace: 'sallyport', name: 'exchange' }))
  project('gateway-api-token', await tokenOf({ namespace: 'sallyport', name: 'gateway' }))
  project('gateway-token', await tokenOf({ namespace: 'sallyport', name: 'gateway' }, audience))

  const shared = (apiToken: string) => ({
    version: 1,
    trustDomain: 'mesh.example',
    issuers: {
      cluster: {
        issuer: cluster.url,
        platform: 'kubernetes',
        audiences: [audience],
        algorithms: ['RS256'],
        types: ['none'],
        caFile: at('cluster-ca.pem'),
        jwksTokenFile: at(apiToken), // RBAC shows the keys to service accounts alone
        kind: 'serverless',
      },
    },
    identities: [
      {
        name: 'gateway',
        issuer: 'cluster',
        match: {
          sub: 'system:serviceaccount:sallyport:gateway',
          'kubernetes.io.namespace': 'sallyport',
        },
        spiffeId: gatewayId,
      },
      {
        name: 'shop',
        issuer: 'cluster',
        match: { 'kubernetes.io.namespace': 'shop' },
        spiffeId:
          'spiffe://mesh.example/ns/{kubernetes.io.namespace}/sa/{kubernetes.io.serviceaccount.name}',
      },
    ],
  })
  const load = async <K extends 'gateway' | 'exchange'>(kind: K, config: object) => {
    writeFileSync(at(`${kind}.yaml`), stringify(config))
    const loaded = await loadConfig(kind, at(`${kind}.yaml`), {})
    if (!loaded.ok) throw new Error(formatFaults(loaded.faults))
    return loaded.config
  }
  const requires = { policy: { requires: { kinds: ['serverless'] } } }

  const exchangePort = await freePort()
  const exchangeUrl = `https://localhost:${exchangePort}`
  mkdirSync(at('keys'), { mode: 0o700 })
  const exchange = await startExchange(
    await load('exchange', {
      ...shared('exchange-token'),
      spiffeId: 'spiffe://mesh.example/sallyport/exchange',
      issuer: exchangeUrl,
      listeners: { exchange: { port: exchangePort }, admin: { port: 0 } },
      ca: { store: { directory: at('keys') } },
      gateways: [gatewayId],
      selfService: { issuers: ['cluster'] },
      grants: [
        {
          name: 'pods',
          subjects: ['spiffe://mesh.example/ns/shop/sa/*'],
          tokens: ['jwt-svid', 'x509-svid'],
          audiences: [idOf('orders')],
          ...requires,
        },
      ],
      tokenReviews: {
        cluster: {
          url: cluster.url,
          caFile: at('cluster-ca.pem'),
          tokenFile: at('exchange-token'),
          cacheSeconds: 0,
        },
      },
      policy: { bundleFile, requires: { kinds: ['serverless'] } },
      drainSeconds: 0,
      audit: { file: at('exchange.jsonl') },
    }),
    { log: noLog },
  )
  closing.push(exchange.close)
  writeFileSync(at('roots.pem'), exchange.roots())
  const askForToken = (token: string) =>
    send(
      exchangePort,
      exchange.roots(),
      '/token',
      { 'content-type': 'application/x-www-form-urlencoded' },
      new URLSearchParams({
        grant_type: tokenExchangeGrant,
        subject_token: token,
        subject_token_type: tokenTypes.jwt,
        requested_token_type: tokenTypes.jwt,
        audience: idOf('orders'),
      }).toString(),
    )

  // The service has its certificate by its own service account.
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ordersToken = await tokenOf({ namespace: 'shop', name: 'orders' }, audience)
  const { status, body } = await send(
    exchangePort,
    exchange.roots(),
    '/svid/x509',
    { authorization: `Bearer ${ordersToken}`, 'content-type': 'application/pkcs10' },
    createCsr(privateKey),
  )
  assert.equal(status, 200, JSON.stringify(body))
  const svid = body as X509SvidAnswer
  const service = createServer(
    {
      cert: svid.x509_svid,
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      ca: svid.bundle,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (req, res) => {
      const peer = (req.socket as TLSSocket).getPeerX509Certificate()
      const { sub, aud } = decodeJwt((req.headers.authorization ?? '').replace('Bearer ', ''))
      res.end(JSON.stringify({ peer: peer?.subjectAltName, sub, aud }))
    },
  )
  service.listen(0, '127.0.0.1')
  await once(service, 'listening')
  closing.push(() => {
    service.close()
    service.closeAllConnections()
  })

  const edge = makeWebCertificate()
  writeFileSync(at('edge.pem'), edge.server.pem)
  writeFileSync(at('edge.key'), edge.server.keyPem)
  const gateway = await startGateway(
    await load('gateway', {
      ...shared('gateway-api-token'),
      spiffeId: gatewayId,
      identity: { source: 'exchange', tokenFile: at('gateway-token') },
      exchange: {
        url: exchangeUrl,
        spiffeId: 'spiffe://mesh.example/sallyport/exchange',
        caFile: at('roots.pem'),
      },
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
          spiffeId: idOf('orders'),
        },
      },
      routes: [
        {
          id: 'orders',
          team: 'shop',
          match: { hosts: ['localhost'], path: { prefix: '/orders' } },
          authenticate: { issuers: ['cluster'] },
          ...requires,
          upstream: 'orders',
        },
      ],
      drainSeconds: 0,
      audit: { file: at('gateway.jsonl') },
    }),
    { log: noLog, revision: 'test' },
  )
  closing.push(gateway.close)
  const callThroughIngress = (token: string) =>
    send(gateway.ingress.port, edge.ca, '/orders/7', {
      host: 'localhost',
      authorization: `Bearer ${token}`,
    })
  return { cluster, exchange, askForToken, callThroughIngress }
}

const setUpOrEnd = async () => {
  try {
    return await setUp()
  } catch (cause) {
    await closeAll()
    throw cause
  }
}
const set = skip.skip === undefined ? await setUpOrEnd() : undefined
const mesh = () => {
  assert.ok(set)
  return set
}
const problemOf = ({ status, body }: Sent) => [status, body['problem']]
const revoked = [400, 'token-revoked']
const unavailable = [503, 'issuer-unavailable']
/** Asks until the answer is another than a token. */
const untilRefused = async (ask: () => Promise<Sent>): Promise<Sent> => {
  const untilMs = performance.now() + cutOffTimeoutMs
  for (;;) {
    const answer = await ask()
    if (answer.status !== 200 || performance.now() > untilMs) return answer
    await sleep(pollMs)
  }
}

test('the projected token of a pod becomes its identity', skip, async () => {
  const { cluster, askForToken } = mesh()
  const token = await cluster.tokenOf({ namespace: 'shop', name: 'web', pod: 'web-1' }, audience)
  const { status, body } = await askForToken(token)
  assert.equal(status, 200, JSON.stringify(body))
  const { sub, aud, exp = 0 } = decodeJwt(String(body['access_token']))
  assert.deepEqual({ sub, aud }, { sub: idOf('web'), aud: idOf('orders') })
  assert.ok(exp <= (decodeJwt(token).exp ?? 0))
})

test('it goes through ingress, and the service sees the right SPIFFE ID', skip, async () => {
  const { cluster, callThroughIngress } = mesh()
  const token = await cluster.tokenOf({ namespace: 'shop', name: 'web', pod: 'web-1' }, audience)
  const { status, body } = await callThroughIngress(token)
  assert.equal(status, 200, JSON.stringify(body))
  assert.deepEqual(body, { peer: `URI:${gatewayId}`, sub: idOf('web'), aud: idOf('orders') })
})

test(
  'a token for another audience is refused, that of the API server among them',
  skip,
  async () => {
    const { cluster, askForToken, callThroughIngress } = mesh()
    for (const other of ['vault', undefined]) {
      const token = await cluster.tokenOf({ namespace: 'shop', name: 'web', pod: 'web-1' }, other)
      assert.deepEqual(problemOf(await askForToken(token)), [400, 'token-audience-wrong'])
      assert.equal((await callThroughIngress(token)).status, 401)
    }
  },
)

test(
  'the token of a pod that is deleted is refused at the exchange, and at ingress for who has no identity yet',
  skip,
  async () => {
    const { cluster, askForToken, callThroughIngress } = mesh()
    const account = { namespace: 'shop', name: 'job', pod: 'job-1' }
    const token = await cluster.tokenOf(account, audience)
    const another = await cluster.tokenOf(account, audience)
    assert.equal((await askForToken(token)).status, 200)
    await cluster.ask('DELETE', '/api/v1/namespaces/shop/pods/job-1?gracePeriodSeconds=0')
    assert.deepEqual(problemOf(await untilRefused(() => askForToken(token))), revoked)
    assert.equal((await callThroughIngress(another)).status, 403)
  },
)

test(
  'the token of a service account that is deleted is refused, also when there is a namesake',
  skip,
  async () => {
    const { cluster, askForToken } = mesh()
    const account = { namespace: 'shop', name: 'job' }
    const token = await cluster.tokenOf(account, audience)
    assert.equal((await askForToken(token)).status, 200)
    const path = '/api/v1/namespaces/shop/serviceaccounts'
    await cluster.ask('DELETE', `${path}/job`)
    await cluster.ask('POST', path, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'job' },
    })
    assert.deepEqual(problemOf(await untilRefused(() => askForToken(token))), revoked)
    assert.equal((await askForToken(await cluster.tokenOf(account, audience))).status, 200)
  },
)

test(
  'while our own token is not good nobody is let in, and a new one in the file mends it',
  skip,
  async () => {
    const { cluster, exchange, askForToken } = mesh()
    const token = await cluster.tokenOf({ namespace: 'shop', name: 'web', pod: 'web-1' }, audience)
    const own = readFileSync(at('exchange-token'), 'utf8')
    project('exchange-token', `${own.slice(0, -8)}AAAAAAAA`)
    assert.deepEqual(problemOf(await askForToken(token)), unavailable)
    const { tokenReviews } = (await (await fetch(`${exchange.urls.admin}/status`)).json()) as {
      tokenReviews: { cluster: { fault: string } }
    }
    assert.match(tokenReviews.cluster.fault, /our own token is not good/)
    project('exchange-token', await cluster.tokenOf({ namespace: 'sallyport', name: 'exchange' }))
    assert.equal((await askForToken(token)).status, 200)
  },
)

test('while the API server is away nobody is let in, and no longer', skip, async () => {
  const { cluster, askForToken } = mesh()
  const token = await cluster.tokenOf({ namespace: 'shop', name: 'web', pod: 'web-1' }, audience)
  cluster.pause()
  try {
    assert.deepEqual(problemOf(await askForToken(token)), unavailable)
  } finally {
    cluster.resume()
  }
  const untilMs = performance.now() + cutOffTimeoutMs
  let { status } = await askForToken(token)
  while (status !== 200 && performance.now() < untilMs) {
    await sleep(pollMs)
    status = (await askForToken(token)).status
  }
  assert.equal(status, 200)
})

test('no token is in any record', skip, () => {
  const text = ['exchange.jsonl', 'gateway.jsonl']
    .map((name) => readFileSync(at(name), 'utf8'))
    .join('')
  const records = text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as AuditEvent)
  assert.ok(records.length > 10)
  assert.ok(!text.includes('eyJ'))
  assert.ok(
    records.some(({ cause = '' }) => cause.includes('service account token has been invalidated')),
  )
})
