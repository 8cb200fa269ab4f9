import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { Agent, createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { systemClock, systemRandomBytes } from '#contract/clock'
import type { SpiffeId, TrustDomain } from '#contract/spiffe-id'
import { openAuthority } from '#exchange/ca/authority'
import { generateP256 } from '#exchange/ca/p256'
import { diskKeyStore } from '#exchange/keys/disk'
import { issueX509Svid } from '#exchange/svid/x509'
import { newSigningKey } from '#test/fakes/token-maker'
import { askAt, eventually, ids, meshRig, tokenRoute } from './rig.ts'

const rig = await meshRig()
after(rig.close)
const hourMs = 3_600_000
const lifetimes = {
  rootMs: 8760 * hourMs,
  intermediateMs: 168 * hourMs,
  jwtKeyMs: 24 * hourMs,
  longestX509SvidMs: 24 * hourMs,
  longestTokenMs: hourMs,
}

/* The identity provider: what it signs with, and what it publishes. */
const first = newSigningKey('first')
let signer = first
let published = [first]
const idpCertificate = await rig.outside.issue('idp')
const startIdp = async (port = 0) => {
  const { certificate: cert, privateKey: key } = idpCertificate
  const server = createServer({ cert, key }, (_req, res) =>
    res.end(JSON.stringify({ keys: published.map(({ jwk }) => jwk) })),
  ).listen(port, '127.0.0.1')
  await once(server, 'listening')
  const stop = async () => {
    const closed = once(server, 'close')
    server.closeAllConnections()
    server.close()
    await closed
  }
  return { port: (server.address() as AddressInfo).port, stop }
}
let idp = await startIdp()
after(() => idp.stop())
const issuers = {
  outside: {
    ...rig.issuer,
    jwksFile: undefined,
    jwksUrl: `https://localhost:${idp.port}/jwks`,
    caFile: rig.save('outside-root.pem', rig.outside.root),
  },
}

/* Two services, of which one says that it goes away before it does. */
let isLeaving = false
const signedBy = new Set<string>()
const calledBy = new Set<string>()
const serve: RequestListener = (req, res) => {
  if (req.url === '/health') {
    const isFirst = req.socket.localPort === one.port
    return void res.writeHead(isFirst && isLeaving ? 503 : 200).end()
  }
  const [head = ''] = (req.headers.authorization ?? '').slice('Bearer '.length).split('.')
  signedBy.add(String(JSON.parse(Buffer.from(head, 'base64url').toString()).kid))
  calledBy.add((req.socket as TLSSocket).getPeerCertificate().serialNumber)
  res.end('yes')
}
let one = await rig.service(serve)
const other = await rig.service(serve)
let exchange = await rig.exchange(0, { issuers })
const exchangePort = exchange.exchange.port
const given = {
  exchangePort,
  exchangeTimeoutMs: 10_000,
  issuers,
  upstreams: {
    service: {
      endpoints: [one.url, other.url],
      spiffeId: ids.service,
      connectTimeoutMs: 20_000,
      healthCheck: { path: '/health', intervalSeconds: 1, unhealthyAfter: 1, healthyAfter: 1 },
    },
  },
  routes: [tokenRoute('mine', '/mine')],
}
const gateway = await rig.gateway('gateway', given)

/* The load: some callers have a new token for each request, others the one that they began with. */
const answers: Record<string, number> = {}
const lost: string[] = []
let sent = 0
let areNewOnes = true
const over = new AbortController()
const call = async (agent: Agent, token: string) => {
  sent += 1
  try {
    const { status, headers } = await askAt(gateway.port, gateway.ca, '/mine/1', {
      agent,
      headers: { host: 'localhost', authorization: `Bearer ${token}` },
    })
    const answer = String(headers['x-sallyport-problem'] ?? status)
    answers[answer] = (answers[answer] ?? 0) + 1
  } catch (error) {
    lost.push(String(error))
  }
}
const caller = async (isNew: boolean) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const kept = rig.token({ sub: 'kept' }, 3000, first)
  while (!over.signal.aborted) {
    const token = () => rig.token({ sub: `new-${sent % 50}`, jti: String(sent) }, 300, signer)
    if (!isNew || areNewOnes) await call(agent, isNew ? token() : kept)
    await sleep(5)
  }
  agent.destroy()
}
const served = async (more: number) => {
  const until = sent + more
  await eventually(() => (sent >= until ? true : undefined), 60_000)
}

const turn = async (kind: string, step: 'prepare' | 'activate') => {
  const answer = await fetch(`${exchange.urls.admin}/keys/rotate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ kind, step, ...(step === 'activate' ? { force: true } : {}) }),
  })
  assert.equal(answer.status, 200, `${kind} ${step}: ${await answer.text()}`)
}
/** A certificate under the CA as it is now. */
const svidOf = async (spiffeId: SpiffeId) => {
  const authority = await openAuthority({
    store: diskKeyStore(rig.at('keys')),
    trustDomain: 'mesh.test' as TrustDomain,
    lifetimes,
    clock: systemClock,
    randomBytes: systemRandomBytes,
  })
  const { privateKey, publicKey } = await generateP256()
  const { chainPem } = issueX509Svid(
    { spiffeId, publicKey, lifetimeMs: 6 * hourMs, dnsNames: ['localhost'] },
    authority.current().issuer,
    systemClock(),
    systemRandomBytes,
  )
  return { cert: chainPem, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
}
let serviceSvid = await svidOf(ids.service)
/** Who trusts the roots learns of new ones. */
const tellRoots = () => {
  writeFileSync(rig.svidFiles.bundleFile, exchange.roots())
  for (const { server } of [one, other])
    server.setSecureContext({ ...serviceSvid, ca: exchange.roots() })
}
const renewAll = async () => {
  serviceSvid = await svidOf(ids.service)
  tellRoots()
  const { cert, key } = await svidOf(ids.gateway)
  const before = calledBy.size
  writeFileSync(rig.svidFiles.keyFile, key)
  writeFileSync(rig.svidFiles.certificateFile, cert)
  await eventually(() => (calledBy.size > before ? true : undefined), 30_000)
}

const stateOfOne = (state: string) =>
  eventually(async () => {
    const { endpoints } = (await gateway.status()).upstreams['service'] ?? {}
    return endpoints?.[one.url]?.state === state ? true : undefined
  }, 30_000)

test('every key and certificate turns, and identity provider, exchange and service start again: no valid request is lost', async () => {
  const callers = [false, false, true, true].map(caller)
  await served(20)

  const second = newSigningKey('second')
  published = [first, second]
  signer = second
  await served(20)

  await turn('jwt', 'prepare')
  await turn('jwt', 'activate')
  await eventually(() => (signedBy.size > 1 ? true : undefined))

  await turn('root', 'prepare')
  tellRoots()
  await served(20)
  await turn('root', 'activate') // and with it another intermediate
  await renewAll()
  await served(20)
  await turn('intermediate', 'prepare')
  await turn('intermediate', 'activate')
  await renewAll()
  await served(20)

  const { certificate, privateKey } = await rig.outside.issue('renewed')
  writeFileSync(rig.ingressFiles.certificateFile, certificate)
  writeFileSync(rig.ingressFiles.keyFile, privateKey)
  await gateway.change({ ...given, limits: { address: { points: 1_000_000 } } })
  await served(20)

  await idp.stop()
  await served(20)
  idp = await startIdp(idp.port)
  await served(20)

  areNewOnes = false // meanwhile they get 503, as documented
  await sleep(300)
  await exchange.close()
  await served(20)
  exchange = await rig.exchange(exchangePort, { issuers })
  areNewOnes = true
  await served(20)

  isLeaving = true
  await stateOfOne('unhealthy')
  await served(20)
  await one.close()
  await served(20)
  one = await rig.service(serve, { port: one.port })
  isLeaving = false
  tellRoots()
  await stateOfOne('available')
  await served(20)

  over.abort()
  await Promise.all(callers)
  assert.deepEqual(lost, [])
  assert.deepEqual(answers, { '200': sent })
  const recorded = () => gateway.records().filter(({ request }) => request?.path === '/mine/1')
  await eventually(() => (recorded().length >= sent ? true : undefined))
  assert.equal(recorded().length, sent)
  assert.equal(new Set(recorded().map(({ decisionId }) => decisionId)).size, sent)
  console.log(`  ${sent} requests, ${calledBy.size} SVIDs of the gateway, ${signedBy.size} keys`)
})
