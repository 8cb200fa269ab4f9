import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { after, suite, test } from 'node:test'
import { decodeJwt } from 'jose'
import { orders } from '../exchange/fixtures.ts'
import { findTool, without } from '../tools.ts'
import { startTestExchange } from '../exchange/running-exchange.ts'
import { askAt, eventually, ids, meshRig, tokenRoute } from '../ways/rig.ts'
import { runSpire } from './spire/running-spire.ts'

const server = findTool('spire-server')
const agent = findTool('spire-agent')
const installed = without({ 'spire-server': server, 'spire-agent': agent })
/** SPIRE renews at half of it. */
const ttlSeconds = 20
const rotationWithinMs = 60_000

/** Gateway and exchange with certificates of SPIRE, in front of a service that trusts SPIRE alone. */
const setUp = async () => {
  const spire = await runSpire({ server: String(server), agent: String(agent) }, 'mesh.test')
  after(spire.close)
  const rig = await meshRig()
  after(rig.close)
  // All of one user: each process is given all three, and has to find its own.
  const ttl = ['-x509SVIDTTL', String(ttlSeconds)]
  await spire.register(ids.impostor)
  await spire.register(ids.gateway, ...ttl)
  await spire.register(ids.exchange, '-dns', 'localhost', ...ttl)
  await spire.register(ids.service, '-dns', 'localhost')
  const svid = await spire.svidOf(ids.service)
  const serials = new Set<string>()
  const reached: (string | undefined)[] = []
  const service = createServer(
    {
      cert: svid.cert,
      key: svid.key,
      ca: svid.bundle,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (req, res) => {
      const peer = (req.socket as TLSSocket).getPeerX509Certificate()
      serials.add(peer?.serialNumber ?? '')
      reached.push(peer?.subjectAltName)
      res.end(`for ${String(req.headers.authorization).slice(0, 7)}`)
    },
  ).listen(0, '127.0.0.1')
  await once(service, 'listening')
  after(() => {
    service.closeAllConnections()
    service.close()
  })
  const identity = { source: 'workload-api', socket: spire.socket }
  const exchange = await rig.exchange(0, { identity })
  const { port } = service.address() as AddressInfo
  const gateway = await rig.gateway('gateway', {
    identity,
    exchangePort: exchange.exchange.port,
    upstreams: { service: { endpoints: [`https://127.0.0.1:${port}`], spiffeId: ids.service } },
    routes: [tokenRoute('a', '/a')],
    listeners: { egress: { port: 0, tls: { certificates: [rig.ingressFiles] } } },
    egress: {
      rules: [
        {
          id: 'all',
          team: 'test',
          workloads: ['spiffe://mesh.test/**'],
          destinations: [{ hosts: ['allowed.example'] }],
        },
      ],
    },
  })
  const ofService = { cert: svid.cert, key: svid.key }
  const call = async () => {
    const answer = await gateway.ask('/a/1', {
      headers: { authorization: `Bearer ${rig.token({ sub: `user-${reached.length}` })}` },
    })
    return answer.status
  }
  return { spire, rig, gateway, exchange, serials, reached, ofService, call }
}

suite('SPIRE', installed, async () => {
  if (installed.skip !== undefined) return
  const { spire, rig, gateway, exchange, serials, reached, ofService, call } = await setUp()
  const connected = async () =>
    /^sallyport_workload_api_connected (\d)$/m.exec(await gateway.metrics())?.[1]

  test('gives gateway and exchange their identities, by which they reach each other and the service', async () => {
    assert.equal(await call(), 200)
    assert.deepEqual(reached, [`URI:${ids.gateway}`])
    const roots = (await spire.roots()).trim()
    assert.ok(exchange.roots().includes(roots), 'the exchange does not show who certifies it')
    assert.equal(await connected(), '1')
  })

  test('stands in the bundle of the exchange, roots and keys, beside what that mints itself', async () => {
    const ofSpire = JSON.parse(await spire.ask('bundle', 'show', '-format', 'spiffe')) as Jwks
    const { port } = exchange.exchange
    const published = async (path: string) =>
      JSON.parse((await askAt(port, exchange.roots(), path)).text) as Jwks
    const bundle = await published('/bundle')
    const ours = await published('/keys')
    const of = (keys: Jwks['keys'], use: string) => keys.filter((key) => key.use === use)
    const roots = of(bundle.keys, 'x509-svid').map(({ x5c }) => x5c?.[0])
    assert.equal(roots.length, 2)
    assert.ok(roots.includes(of(ofSpire.keys, 'x509-svid')[0]?.x5c?.[0]))
    const kids = of(bundle.keys, 'jwt-svid').map(({ kid }) => kid)
    for (const { kid } of [...of(ofSpire.keys, 'jwt-svid'), ...ours.keys])
      assert.ok(kids.includes(kid), `${kid} is not published`)
  })

  test('rotates them, and no request is lost', async () => {
    await call()
    const before = serials.size
    let calls = 0
    await eventually(async () => {
      calls += 1
      assert.equal(await call(), 200, `call ${calls}`)
      return serials.size >= before + 2 ? true : undefined
    }, rotationWithinMs)
    assert.ok(calls > 2)
  })

  test('may lose its agent for a while', async () => {
    await spire.stopAgent()
    await eventually(async () => ((await connected()) === '0' ? true : undefined))
    assert.equal(await call(), 200)
    await spire.startAgent()
    const before = serials.size
    await eventually(async () => ((await connected()) === '1' ? true : undefined), rotationWithinMs)
    await eventually(async () => {
      assert.equal(await call(), 200)
      return serials.size > before ? true : undefined
    }, rotationWithinMs)
  })

  test('speaks for workloads on the way out, by certificate and by JWT-SVID', async () => {
    const connect = async (token?: string, client: object = {}): Promise<number | undefined> => {
      const asked = request({
        host: '127.0.0.1',
        port: gateway.egress?.port,
        servername: 'localhost',
        ca: gateway.ca,
        method: 'CONNECT',
        path: 'elsewhere.example:443',
        agent: false,
        ...client,
        headers: {
          host: 'elsewhere.example:443',
          ...(token === undefined ? {} : { 'proxy-authorization': `Bearer ${token}` }),
        },
      })
      asked.end()
      const [answer] = (await once(asked, 'connect')) as [IncomingMessage]
      asked.destroy()
      return answer.statusCode
    }
    // 403: it is known, and may not go there.
    assert.equal(await connect(undefined, ofService), 403)
    const token = await spire.jwtOf(ids.service, ids.gateway)
    await eventually(async () => ((await connect(token)) === 403 ? true : undefined))
    assert.equal(await connect(await spire.jwtOf(ids.service, ids.exchange)), 407)
    assert.equal(await connect(), 407)
  })

  test('federates with an exchange of ours, each by the bundle endpoint of the other', async () => {
    const shown = await spire.ask('bundle', 'show', '-format', 'spiffe')
    const partner = await startTestExchange({
      federation: {
        trustDomains: {
          'mesh.test': {
            bundleEndpoint: {
              profile: 'https_spiffe',
              url: `https://localhost:${spire.bundlePort}/`,
              spiffeId: 'spiffe://mesh.test/spire/server',
              bundleFile: rig.save('spire.bundle.json', shown),
            },
          },
        },
      },
      issuers: {
        spire: { issuer: 'spiffe://mesh.test', platform: 'spiffe', audiences: ['partner'] },
      },
      identities: [
        {
          name: 'theirs',
          issuer: 'spire',
          subject: 'spiffe://mesh.test/{name}',
          spiffeId: 'spiffe://mesh.example/partner/{name}',
        },
      ],
      selfService: { issuers: ['spire'] },
      grants: [
        {
          name: 'theirs',
          subjects: ['spiffe://mesh.example/partner/service'],
          tokens: ['jwt-svid'],
          audiences: [orders],
        },
      ],
      clients: {
        service: { authentication: { method: 'tls_client_auth', spiffeId: ids.service } },
      },
    })
    after(partner.stop)
    const { refreshed, sequence } = await eventually(async () => {
      const status = (await (await fetch(`${partner.urls.admin}/status`)).json()) as {
        federation: Record<string, { sequence?: number; refreshedAtMs?: number }>
      }
      const { refreshedAtMs, ...now } = status.federation['mesh.test'] ?? {}
      return refreshedAtMs === undefined ? undefined : { refreshed: refreshedAtMs, ...now }
    }, rotationWithinMs)
    assert.ok(refreshed > 0)
    assert.equal(sequence, (JSON.parse(shown) as { spiffe_sequence: number }).spiffe_sequence)

    const introspect = (client: object) =>
      askAt(partner.exchange.port, partner.roots(), '/introspect', {
        method: 'POST',
        ...client,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: 'client_id=service&token=x',
      })
    assert.equal((await introspect(ofService)).status, 200, 'a member of SPIRE is not known')
    assert.equal((await introspect({})).status, 401)

    const exchanged = async (svid: string) =>
      (await partner.exchangeToken({ subject_token: svid })).json()
    const granted = await exchanged(await spire.jwtOf(ids.service, 'partner'))
    const { sub } = decodeJwt(String(granted['access_token']))
    assert.equal(sub, 'spiffe://mesh.example/partner/service', JSON.stringify(granted))
    const refused = await exchanged(await spire.jwtOf(ids.gateway, 'partner'))
    assert.equal(refused['problem'], 'client-not-allowed', 'no grant is for it')
    const elsewhere = await exchanged(await spire.jwtOf(ids.service, 'elsewhere'))
    assert.equal(elsewhere['problem'], 'token-audience-wrong')

    const bundle = (await partner.ask({ path: '/bundle' })).body.toString()
    const at = `https://localhost:${partner.exchange.port}/bundle`
    const begin = rig.save('partner.bundle.json', rootsAlone(bundle))
    await spire.ask(
      'federation',
      'create',
      '-trustDomain=mesh.example',
      `-bundleEndpointURL=${at}`,
      '-bundleEndpointProfile=https_spiffe',
      '-endpointSpiffeID=spiffe://mesh.example/exchange',
      '-trustDomainBundleFormat=spiffe',
      `-trustDomainBundlePath=${begin}`,
    )
    await spire.ask('federation', 'refresh', '-id', 'mesh.example')
    const held = await eventually(async () => {
      const all = await spire.ask('bundle', 'list', '-id', 'mesh.example', '-format', 'spiffe')
      return all.includes('jwt-svid') ? all : undefined
    }, rotationWithinMs)
    assert.match(held, new RegExp(String(partnerKid(bundle))))

    // And what SPIRE holds of another its agent gives to a gateway of ours.
    await spire.register('spiffe://mesh.test/federated', '-federatesWith', 'spiffe://mesh.example')
    const byAgent = await rig.gateway('by-agent', {
      routes: [tokenRoute('a', '/a')],
      upstreams: { service: { endpoints: ['https://127.0.0.1:1'], spiffeId: ids.service } },
      federation: {
        trustDomains: {
          'mesh.example': { bundleEndpoint: { profile: 'workload-api', socket: spire.socket } },
        },
      },
    })
    const given = await eventually(async () => {
      const status: unknown = await byAgent.status()
      const { federation } = status as {
        federation: Record<string, { roots: number; jwtKeys: number }>
      }
      const now = federation['mesh.example']
      return now && now.roots > 0 && now.jwtKeys > 0 ? now : undefined
    }, rotationWithinMs)
    assert.equal(given.roots, 1)
  })
})

type Jwks = {
  readonly keys: readonly { readonly use: string; readonly kid?: string; readonly x5c?: string[] }[]
}

/** To begin with: what SPIRE has of keys for JWT-SVIDs it then has fetched. */
const rootsAlone = (bundle: string): string => {
  const { keys } = JSON.parse(bundle) as { keys: readonly { use: string }[] }
  return JSON.stringify({ keys: keys.filter(({ use }) => use === 'x509-svid') })
}

const partnerKid = (bundle: string): string | undefined =>
  (JSON.parse(bundle) as { keys: readonly { kid?: string }[] }).keys.find(({ kid }) => kid)?.kid
