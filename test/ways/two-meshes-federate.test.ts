import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync } from 'node:fs'
import { createServer, request, type RequestOptions } from 'node:https'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { after, mock, suite, test } from 'node:test'
import { promisify } from 'node:util'
import { decodeJwt } from 'jose'
import { run as explain } from '#cli/explain'
import { gateway as partnerJob, orders } from '#test/exchange/fixtures'
import { startTestExchange } from '#test/exchange/running-exchange'
import { makeWebCertificate } from '#test/fakes/https-server'
import { newSigningKey, signToken } from '#test/fakes/token-maker'
import { askAt, eventually, freePorts, ids, meshRig, openRoute, type Answer } from './rig.ts'

const ours = 'mesh.test'
const theirs = 'mesh.example'
/** What their callers are to ours: an issuer, whose members become somebody by our rules alone. */
const aboutThem = {
  issuers: {
    partner: {
      issuer: `spiffe://${theirs}`,
      platform: 'spiffe',
      audiences: [ids.gateway],
      policyClaims: ['sub'],
      kind: 'mesh',
    },
    mesh: { issuer: 'https://elsewhere.test', audiences: [ids.gateway], jwksFile: 'jwks.json' },
  },
  identities: [
    {
      name: 'their-users',
      issuer: 'partner',
      subject: `spiffe://${theirs}/user/{user}`,
      spiffeId: `spiffe://${ours}/partner/user/{user}`,
    },
  ],
}

/**
 * Two meshes with an exchange each: ours fetches the other's bundle by `https_web`, the other ours by `https_spiffe`. A
 * gateway of ours has an upstream there, and lets workloads of there out.
 */
const setUp = async () => {
  const rig = await meshRig()
  after(rig.close)
  const web = makeWebCertificate()
  const tls = {
    certificates: [
      {
        certificateFile: rig.save('web.pem', web.server.pem),
        keyFile: rig.save('web.key', web.server.keyPem),
      },
    ],
  }
  const [ourPort = 0, theirPort = 0, theirBundlePort = 0] = await freePorts(3)
  mkdirSync(rig.at('federation'))
  const fromThem = {
    profile: 'https_web',
    url: `https://localhost:${theirBundlePort}/bundle`,
    caFile: rig.save('web-ca.pem', web.ca),
  }
  const client = (spiffeId: string) => ({ authentication: { method: 'tls_client_auth', spiffeId } })
  const exchange = await rig.exchange(ourPort, {
    federation: {
      directory: rig.at('federation'),
      trustDomains: { [theirs]: { bundleEndpoint: fromThem } },
    },
    ...aboutThem,
    issuers: { ...aboutThem.issuers, outside: rig.issuer },
    identities: [
      ...aboutThem.identities,
      { name: 'people', issuer: 'outside', spiffeId: `spiffe://${ours}/people/{sub}` },
    ],
    selfService: { issuers: ['partner', 'outside'] },
    grants: [
      {
        name: 'ours',
        subjects: [`spiffe://${ours}/people/*`],
        tokens: ['jwt-svid'],
        audiences: ['sallyport'],
      },
      {
        name: 'theirs',
        subjects: [`spiffe://${ours}/partner/**`],
        tokens: ['jwt-svid', 'x509-svid'],
        audiences: [ids.service],
      },
    ],
    clients: { 'their-job': client(partnerJob), 'their-other': client(`spiffe://${theirs}/other`) },
  })
  const ourBundle = await askAt(ourPort, exchange.roots(), '/bundle')
  const partner = await startTestExchange({
    listeners: {
      exchange: { port: theirPort },
      federation: { port: theirBundlePort, tls },
      admin: { port: 0 },
    },
    audiences: [ids.gateway],
    issuers: {
      corp: {
        issuer: 'https://idp.example',
        audiences: ['edge'],
        jwksFile: 'jwks.json',
        minRemainingSeconds: 0,
      },
      partner: { issuer: `spiffe://${ours}`, platform: 'spiffe', audiences: ['sallyport'] },
    },
    identities: [
      {
        name: 'people',
        issuer: 'corp',
        match: { aud: 'edge' },
        spiffeId: `spiffe://${theirs}/user/{sub}`,
      },
      {
        name: 'partners',
        issuer: 'partner',
        subject: `spiffe://${ours}/people/{name}`,
        spiffeId: `spiffe://${theirs}/partner/{name}`,
      },
    ],
    selfService: { issuers: ['partner'] },
    grants: [
      {
        name: 'partners',
        subjects: [`spiffe://${theirs}/partner/*`],
        tokens: ['jwt-svid'],
        audiences: [`spiffe://${theirs}/ns/shop/sa/orders`],
      },
    ],
    federation: {
      trustDomains: {
        [ours]: {
          bundleEndpoint: {
            profile: 'https_spiffe',
            url: `https://localhost:${ourPort}/bundle`,
            spiffeId: ids.exchange,
            bundleFile: rig.save('our-bundle.json', ourBundle.text),
          },
        },
      },
    },
  })
  after(partner.stop)
  const joined = await partner.join()

  const serveAs = async ({ cert, key }: { cert: string; key: string }) => {
    const seen: (string | undefined)[] = []
    const server = createServer(
      { cert, key, ca: exchange.roots(), requestCert: true, rejectUnauthorized: true },
      (req, res) => {
        seen.push((req.socket as TLSSocket).getPeerX509Certificate()?.subjectAltName)
        res.end('from there')
      },
    ).listen(0, '127.0.0.1')
    server.on('tlsClientError', () => {})
    await once(server, 'listening')
    after(() => {
      server.closeAllConnections()
      server.close()
    })
    return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
  }
  const theirService = await serveAs(joined)
  // Our own CA must not be able to speak for them.
  const impostor = await serveAs(await rig.svidOf(partnerJob))
  const called: string[] = []
  const service = await rig.service((req, res) => {
    called.push(String(req.headers.authorization))
    res.end('called')
  })
  const gateway = await rig.gateway('gateway', {
    exchangePort: ourPort,
    federation: {
      directory: rig.at('federation'),
      trustDomains: { [theirs]: { bundleEndpoint: fromThem } },
    },
    upstreams: {
      service: { endpoints: [theirService.url], spiffeId: partnerJob },
      impostor: { endpoints: [impostor.url], spiffeId: partnerJob },
      own: { endpoints: [service.url], spiffeId: ids.service },
    },
    ...aboutThem,
    routes: [
      openRoute('a', '/a'),
      openRoute('b', '/b', { upstream: 'impostor' }),
      openRoute('certified', '/certified', { clientCertificate: { names: [partnerJob] } }),
      openRoute('called', '/called', {
        authenticate: { issuers: ['partner'] },
        policy: { requires: { kinds: ['mesh'] } },
        upstream: 'own',
      }),
      openRoute('closed', '/closed', { authenticate: { issuers: ['mesh'] } }),
    ],
    listeners: {
      ingress: {
        tls: {
          certificates: [rig.ingressFiles],
          // Our own CA, too: it must not be able to speak for them here either.
          clientCertificates: { rootsFile: rig.at('roots.pem'), trustDomains: [theirs] },
        },
      },
      egress: { port: 0, tls: { certificates: [rig.ingressFiles] } },
    },
    egress: {
      trustDomains: [theirs],
      rules: [
        {
          id: 'theirs',
          team: 'test',
          workloads: [`spiffe://${theirs}/**`],
          destinations: [{ hosts: ['allowed.example'] }],
        },
      ],
    },
  })
  return { rig, exchange, partner, joined, gateway, theirService, impostor, called }
}

suite('two meshes federate', async () => {
  const { rig, exchange, partner, joined, gateway, theirService, impostor, called } = await setUp()
  const federationOf = async (adminUrl: string, domain: string) => {
    const status = (await (await fetch(`${adminUrl}/status`)).json()) as {
      federation: Record<string, { sequence?: number; refreshedAtMs?: number; roots: number }>
    }
    return status.federation[domain]
  }
  await eventually(async () => (await federationOf(exchange.urls.admin, theirs))?.sequence)

  test('each exchange has the bundle of the other, by either profile', async () => {
    for (const [admin, domain, from] of [
      [exchange.urls.admin, theirs, partner],
      [partner.urls.admin, ours, exchange],
    ] as const) {
      const had = await eventually(async () => {
        const now = await federationOf(admin, domain)
        return now?.refreshedAtMs === undefined ? undefined : now
      })
      const published = JSON.parse(
        (await askAt(from.exchange.port, from.roots(), '/bundle')).text,
      ) as { spiffe_sequence: number }
      assert.equal(had.sequence, published.spiffe_sequence)
      assert.equal(had.roots, 1)
    }
  })

  test('the endpoint for the web has the bundle and nothing else', async () => {
    const port = partner.federation?.port ?? 0
    const ca = readFileSync(rig.at('web-ca.pem'), 'utf8')
    const bundle = await askAt(port, ca, '/bundle')
    assert.equal(bundle.status, 200)
    assert.equal(bundle.headers['content-type'], 'application/json; charset=utf-8')
    for (const path of ['/token', '/keys', '/healthz', '/'])
      assert.equal((await askAt(port, ca, path)).status, 404, path)
  })

  test('a service of there is reached by its own bundle, and our CA cannot speak for it', async () => {
    const answer = await eventually(async () => {
      const now = await gateway.ask('/a/1')
      return now.status === 200 ? now : undefined
    })
    assert.equal(answer.text, 'from there')
    assert.deepEqual(theirService.seen, [`URI:${ids.gateway}, DNS:localhost`])
    const refused = await gateway.ask('/b/1')
    assert.equal(refused.status, 502)
    assert.deepEqual(impostor.seen, [])
  })

  test('a client of there is known at our exchange by its certificate, if it is configured', async () => {
    const ask = (clientId: string, from: { cert: string; key: string }) =>
      askAt(exchange.exchange.port, exchange.roots(), '/introspect', {
        method: 'POST',
        ...from,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ client_id: clientId, token: 'x' }).toString(),
      })
    const known = await ask('their-job', joined)
    assert.deepEqual([known.status, JSON.parse(known.text)], [200, { active: false }])
    assert.equal((await ask('their-other', joined)).status, 401, 'it is somebody else')
    const forged = await rig.svidOf(partnerJob)
    assert.equal((await ask('their-job', forged)).status, 401, 'our CA spoke for them')
  })

  /** What the proxy makes of who asks: 407 for whom it does not know, 403 for where one may not go. */
  const connect = async (options: RequestOptions): Promise<Pick<Answer, 'status' | 'headers'>> => {
    const asked = request({
      host: '127.0.0.1',
      port: gateway.egress?.port,
      servername: 'localhost',
      ca: gateway.ca,
      method: 'CONNECT',
      path: 'elsewhere.example:443',
      agent: false,
      ...options,
      headers: { host: 'elsewhere.example:443', ...(options.headers as object) },
    })
    asked.end()
    const [answer] = (await once(asked, 'connect')) as [IncomingMessage]
    asked.destroy()
    return { status: answer.statusCode ?? 0, headers: answer.headers }
  }

  test('a workload of there is known by its certificate at the proxy, and our CA cannot speak for it', async () => {
    await eventually(async () => ((await connect(joined)).status === 403 ? true : undefined))
    const forged = await rig.svidOf(partnerJob)
    assert.equal((await connect(forged)).status, 407)
    assert.equal((await connect({})).status, 407)
  })

  test('a workload of there is known by its JWT-SVID at the proxy', async () => {
    const minted = await partner.exchangeToken(
      { subject_token: await partner.subjectToken(), audience: ids.gateway },
      joined,
    )
    const token = String(minted.json()['access_token'])
    const as = (bearer: string) =>
      connect({ headers: { 'proxy-authorization': `Bearer ${bearer}` } })
    assert.equal((await as(token)).status, 403)
    assert.equal((await as(`${token.slice(0, -8)}AAAAAAAA`)).status, 407)
  })

  /** A JWT-SVID that their exchange has minted for alice of there. */
  const theirSvid = async (audience: string = ids.gateway) => {
    const minted = await partner.exchangeToken(
      { subject_token: await partner.subjectToken(), audience },
      joined,
    )
    return String(minted.json()['access_token'])
  }
  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })
  const tagOf = (answer: Answer) => answer.headers['x-sallyport-problem']

  test('a JWT-SVID of there is an authenticated caller at a route that takes its domain, as who our rules say', async () => {
    const token = await theirSvid()
    const answer = await gateway.ask('/called/1', bearer(token))
    assert.deepEqual([answer.status, answer.text], [200, 'called'])
    const minted = decodeJwt(called.at(-1)?.split(' ')[1] ?? '')
    assert.deepEqual(
      [minted.sub, minted.aud, minted.iss],
      [`spiffe://${ours}/partner/user/alice`, ids.service, 'https://localhost'],
    )
    const { caller, spiffeId, mapping } = await gateway.record(
      ({ route, outcome }) => route?.id === 'called' && outcome === 'forwarded',
    )
    assert.deepEqual(
      [caller?.issuer, caller?.subject, spiffeId, mapping],
      [
        'partner',
        `spiffe://${theirs}/user/alice`,
        `spiffe://${ours}/partner/user/alice`,
        'their-users',
      ],
    )
  })

  test('`explain` knows it by the bundle that the gateway has kept', async () => {
    const token = rig.save('their.jwt', await theirSvid())
    const said: string[] = []
    const written = mock.method(process.stdout, 'write', (text: string) => said.push(text))
    const url = 'https://localhost/called/1'
    const code = await explain(['--config', rig.at('gateway.yaml'), '--token-file', token, url])
    written.mock.restore()
    const text = said.join('')
    assert.equal(code, 0, text)
    assert.match(text, /subject +spiffe:\/\/mesh\.test\/partner\/user\/alice, by rule their-users/)
  })

  test('it is nobody at a route that does not take its domain, nor for another audience, nor forged', async () => {
    const token = await theirSvid()
    assert.equal(tagOf(await gateway.ask('/closed/1', bearer(token))), 'token-issuer-unknown')
    const ofAnother = await theirSvid(orders)
    assert.equal(tagOf(await gateway.ask('/called/1', bearer(ofAnother))), 'token-audience-wrong')
    const forged = `${token.slice(0, -8)}AAAAAAAA`
    assert.match(String(tagOf(await gateway.ask('/called/1', bearer(forged)))), /^token-/)
  })

  test('our own keys cannot speak for it, nor its keys for us or for an issuer', async () => {
    const now = Math.floor(Date.now() / 1000)
    const standard = { aud: ids.gateway, iat: now, exp: now + 60 }
    const alice = `spiffe://${theirs}/user/alice`
    const ourKey = newSigningKey('outside')
    const rows = [
      [{ ...standard, sub: alice, iss: 'https://localhost' }, 'token-key-unknown'],
      [{ ...standard, sub: alice }, 'token-key-unknown'],
      [{ ...standard, sub: `spiffe://${ours}/user/alice` }, 'token-issuer-unknown'],
      [{ ...standard, sub: 'alice', iss: `spiffe://${theirs}` }, 'token-issuer-unknown'],
      [{ ...standard, sub: alice, iss: 'https://elsewhere.test' }, 'token-issuer-unknown'],
    ] as const
    for (const [claims, tag] of rows)
      assert.equal(
        tagOf(await gateway.ask('/called/1', bearer(signToken(ourKey, claims)))),
        tag,
        JSON.stringify(claims),
      )
  })

  test('it is a subject token at our exchange, and gets what a grant of ours says', async () => {
    const ask = async (token: string) => {
      const form = {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        requested_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        subject_token: token,
        audience: ids.service,
      }
      const { port } = exchange.exchange
      const answer = await askAt(port, exchange.roots(), '/token', {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams(form).toString(),
      })
      return JSON.parse(answer.text) as Record<string, string>
    }
    const granted = await ask(await theirSvid())
    assert.equal(
      decodeJwt(granted['access_token'] ?? '').sub,
      `spiffe://${ours}/partner/user/alice`,
      JSON.stringify(granted),
    )
    assert.equal((await ask(await theirSvid(orders)))['problem'], 'token-audience-wrong')
  })

  test('one of ours is exchanged there by the README’s curl', async () => {
    const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')
    const script = [...readme.matchAll(/^```sh\n([^]*?)^```$/gm)]
      .map(([, text = '']) => text)
      .find((text) => text.includes('-d subject_token="$TOKEN"'))
    assert.ok(script)
    const mine = await askAt(exchange.exchange.port, exchange.roots(), '/token', {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        requested_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        subject_token: rig.token(),
        audience: 'sallyport',
      }).toString(),
    })
    const { access_token: TOKEN = '' } = JSON.parse(mine.text) as Record<string, string>
    assert.equal(decodeJwt(TOKEN).sub, `spiffe://${ours}/people/alice`, mine.text)
    rig.save('roots.pem.theirs', partner.roots())
    const EXCHANGE = `https://localhost:${partner.exchange.port}`
    const { stdout } = await promisify(execFile)(
      'sh',
      ['-c', script.replace('roots.pem', 'roots.pem.theirs')],
      {
        cwd: rig.folder,
        env: { ...process.env, TOKEN, EXCHANGE },
      },
    )
    const given = JSON.parse(stdout) as Record<string, string>
    const { sub, aud } = decodeJwt(given['access_token'] ?? '')
    assert.deepEqual(
      [sub, aud],
      [`spiffe://${theirs}/partner/alice`, `spiffe://${theirs}/ns/shop/sa/orders`],
      stdout,
    )
  })

  test('its certificate counts at a route that wants one, and our CA cannot speak for it', async () => {
    assert.equal((await gateway.ask('/certified/1', joined)).status, 200)
    const forged = await rig.svidOf(partnerJob)
    assert.equal(tagOf(await gateway.ask('/certified/1', forged)), 'client-certificate-refused')
    const ourOwn = await rig.svidOf(ids.service)
    assert.equal(tagOf(await gateway.ask('/certified/1', ourOwn)), 'client-certificate-refused')
  })

  test('none of that is so where the configuration does not name the domain', async () => {
    const closed = await rig.gateway('closed', {
      routes: [openRoute('a', '/a')],
      upstreams: { service: { endpoints: [theirService.url], spiffeId: ids.service } },
      federation: { trustDomains: {} },
      listeners: { egress: { port: 0, tls: { certificates: [rig.ingressFiles] } } },
      egress: { rules: [] },
    })
    assert.equal((await connect({ ...joined, port: closed.egress?.port })).status, 407)
    assert.equal((await closed.ask('/a/1')).status, 502)
  })
})
