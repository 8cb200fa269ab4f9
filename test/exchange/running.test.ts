import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { Agent } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { AuditEvent } from '#contract/audit-event'
import { noLog } from '#contract/telemetry'
import { startExchange } from '#exchange/main'
import { readSvidLeaf } from '#identity/svid/certificate'
import { exchangeId, gateway, trustDomain } from './fixtures.ts'
import { acceptBundle } from '#identity/svid/bundle'
import {
  configuredFolder,
  startTestExchange,
  exchangeIssuer,
  type TestExchange,
} from './running-exchange.ts'

const order = async (exchange: TestExchange, body: object, headers: Record<string, string> = {}) =>
  fetch(`${exchange.urls.admin}/keys/rotate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
const turn = async (exchange: TestExchange, kind: string) => {
  assert.equal((await order(exchange, { kind, step: 'prepare' })).status, 200)
  assert.equal((await order(exchange, { kind, step: 'activate', force: true })).status, 200)
}
/** The certificate that a new connection is shown. */
const shownCertificate = (exchange: TestExchange): Promise<X509Certificate> =>
  new Promise((resolve, reject) => {
    const socket: TLSSocket = connectTls(
      { host: '127.0.0.1', port: exchange.exchange.port, ca: exchange.roots() },
      () => {
        const shown = socket.getPeerX509Certificate()
        socket.destroy()
        if (shown === undefined) reject(new Error('no certificate'))
        else resolve(shown)
      },
    )
    socket.on('error', reject)
  })

suite('what the exchange publishes', () => {
  let exchange: TestExchange
  before(async () => {
    exchange = await startTestExchange()
  })
  after(() => exchange.stop())

  test('a bundle that readers of SPIFFE bundles take', async () => {
    const answer = await exchange.ask({ path: '/bundle' })
    assert.equal(answer.status, 200)
    const bundle = await acceptBundle(answer.body, trustDomain)
    assert.ok(bundle.ok)
    assert.equal(bundle.value.x509Roots, exchange.roots())
  })

  for (const path of ['/keys', '/bundle'])
    test(`${path} may be cached for its refresh hint, and is asked for again by its ETag`, async () => {
      const first = await exchange.ask({ path })
      assert.equal(first.headers['cache-control'], 'public, max-age=300')
      const headers = { 'if-none-match': String(first.headers['etag']) }
      const second = await exchange.ask({ path, headers })
      assert.equal(second.status, 304)
      assert.equal(second.body.length, 0)
    })

  test('metadata of what it does, and of nothing else', async () => {
    const oauth = (await exchange.ask({ path: '/.well-known/oauth-authorization-server' })).json()
    assert.deepEqual(oauth, {
      issuer: exchangeIssuer,
      token_endpoint: `${exchangeIssuer}/token`,
      jwks_uri: `${exchangeIssuer}/keys`,
      response_types_supported: [],
      grant_types_supported: ['urn:ietf:params:oauth:grant-type:token-exchange'],
      token_endpoint_auth_methods_supported: ['tls_client_auth'],
      introspection_endpoint: `${exchangeIssuer}/introspect`,
      introspection_endpoint_auth_methods_supported: ['tls_client_auth'],
      revocation_endpoint: `${exchangeIssuer}/revoke`,
      revocation_endpoint_auth_methods_supported: ['tls_client_auth'],
      tls_client_certificate_bound_access_tokens: true,
      dpop_signing_alg_values_supported: ['ES256', 'ES384', 'EdDSA', 'PS256', 'RS256'],
    })
    const openId = (await exchange.ask({ path: '/.well-known/openid-configuration' })).json()
    assert.equal(openId['issuer'], exchangeIssuer)
    assert.equal(openId['jwks_uri'], `${exchangeIssuer}/keys`)
    assert.deepEqual(openId['id_token_signing_alg_values_supported'], ['ES256'])
  })

  test('for an issuer with a path: documents before and behind it, by RFC 8414 and OpenID', async () => {
    const other = await startTestExchange({ issuer: 'https://exchange.example/mesh' })
    for (const path of [
      '/.well-known/oauth-authorization-server/mesh',
      '/.well-known/oauth-authorization-server',
      '/mesh/.well-known/openid-configuration',
      '/mesh/keys',
      '/keys',
    ])
      assert.equal((await other.ask({ path })).status, 200, path)
    const openId = (await other.ask({ path: '/mesh/.well-known/openid-configuration' })).json()
    assert.equal(openId['jwks_uri'], 'https://exchange.example/mesh/keys')
    await other.stop()
  })

  test('its health to anyone, and nothing else that it was not asked for', async () => {
    assert.deepEqual((await exchange.ask({ path: '/healthz' })).json(), { status: 'ok' })
    for (const path of ['/', '/status', '/metrics', '/token', '/svid', '/keys/rotate'])
      assert.equal((await exchange.ask({ path })).status, 404, path)
  })

  test('the gate stands before everything, and leaves a record of what it refused', async () => {
    const answer = await exchange.ask({ path: '/keys/../keys' })
    assert.equal(answer.status, 400)
    const record = exchange.records.at(-1)
    assert.equal(record?.problem, 'path-invalid')
    assert.equal(record.outcome, 'refused')
  })
})

suite('the own certificate', () => {
  test('is an SVID of the exchange with its names, and changes without a connection being closed', async () => {
    const exchange = await startTestExchange()
    const before = await shownCertificate(exchange)
    const leaf = readSvidLeaf(before.raw)
    assert.ok(leaf.ok)
    assert.equal(leaf.value.spiffeId, exchangeId)
    assert.ok(before.checkHost('localhost') && before.checkIP('127.0.0.1'))

    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const port = async () => {
      await exchange.ask({ path: '/healthz', agent })
      return Object.values(agent.freeSockets).flat()[0]?.localPort
    }
    const first = await port()
    await turn(exchange, 'intermediate')
    assert.notEqual((await shownCertificate(exchange)).serialNumber, before.serialNumber)
    assert.equal(await port(), first, 'the open connection goes on')
    agent.destroy()
    await exchange.stop()
  })

  test('comes from the new CA as soon as there is one', async () => {
    const exchange = await startTestExchange()
    const before = await shownCertificate(exchange)
    await turn(exchange, 'root')
    const now = await shownCertificate(exchange)
    assert.notEqual(now.issuer, before.issuer)
    await exchange.stop()
  })
})

suite('a client certificate', () => {
  test('is good under the old root until that is withdrawn, then at once for nothing', async () => {
    const exchange = await startTestExchange()
    const client = await exchange.join()
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ...client })
    const ask = async () => {
      const { status } = await exchange.ask({ path: '/admin/healthz', client, agent })
      return status
    }
    assert.equal(await ask(), 200)
    await turn(exchange, 'root')
    assert.equal(await ask(), 200)
    const status = (await (await fetch(`${exchange.urls.admin}/status`)).json()) as {
      keys: { root: { retired: { id: string }[] } }
    }
    const id = status.keys.root.retired[0]?.id
    assert.equal((await order(exchange, { kind: 'root', step: 'withdraw', id })).status, 200)
    assert.equal(await ask(), 401, 'the open connection is trusted no more')
    const { status: fresh } = await exchange.ask({ path: '/admin/healthz', client })
    assert.equal(fresh, 401)
    agent.destroy()
    await exchange.stop()
  })
})

suite('the admin listener', () => {
  let exchange: TestExchange
  before(async () => {
    exchange = await startTestExchange()
  })
  after(() => exchange.stop())
  const get = (path: string, headers: Record<string, string> = {}) =>
    fetch(exchange.urls.admin + path, { headers })
  const rawStatus = (host: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const socket = connect(exchange.admin.port, '127.0.0.1', () =>
        socket.end(`GET /status HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
      )
      socket.once('data', (data) => resolve(Number(data.toString().split(' ')[1])))
      socket.on('error', reject)
    })

  test('says that it is alive and ready, and why it is not', async () => {
    assert.equal((await get('/healthz')).status, 200)
    assert.deepEqual(await (await get('/readyz')).json(), { ready: true, reasons: [] })
    exchange.setAuditReady(false)
    const unready = await get('/readyz')
    exchange.setAuditReady(true)
    assert.equal(unready.status, 503)
    assert.deepEqual(await unready.json(), {
      ready: false,
      reasons: ['audit records cannot be written'],
    })
  })

  test('shows keys by id and time, sequence and issuers, and no secret', async () => {
    const text = await (await get('/status')).text()
    assert.ok(!text.includes('PRIVATE'))
    const status = JSON.parse(text) as {
      keys: Record<string, { active: { id: string } }> & { spiffeSequence: number }
      joinTokensOutstanding: number
      issuers: Record<string, { usable: boolean }>
    }
    const { keys } = (await exchange.ask({ path: '/keys' })).json() as { keys: { kid: string }[] }
    assert.equal(status.keys['jwt']?.active.id, keys[0]?.kid)
    assert.equal(status.joinTokensOutstanding, 1)
    assert.equal(status.issuers['corp']?.usable, true)
    const bundle = (await exchange.ask({ path: '/bundle' })).json()
    assert.equal(status.keys.spiffeSequence, bundle['spiffe_sequence'])
  })

  for (const [host, status] of [
    ['127.0.0.1', 200],
    ['localhost:9912', 200],
    ['[::1]:9912', 200],
    ['evil.example', 421],
    ['evil.example:9912', 421],
    ['127.0.0.1.evil.example', 421],
  ] as const)
    test(`for Host ${host} it is ${status}`, async () => {
      assert.equal(await rawStatus(host), status)
    })

  for (const [what, headers] of [
    ['a page of another site', { 'sec-fetch-site': 'cross-site' }],
    ['a page of another port', { 'sec-fetch-site': 'same-site' }],
    ['an old browser on another site', { origin: 'https://evil.example' }],
    ['a sandboxed page', { origin: 'null' }],
  ] as const)
    test(`takes no order from ${what}`, async () => {
      const answer = await order(exchange, { kind: 'jwt', step: 'prepare' }, headers)
      assert.equal(answer.status, 403)
    })

  test('a page of its own may order', async () => {
    const headers = { 'sec-fetch-site': 'same-origin', origin: exchange.urls.admin }
    assert.equal(
      (await order(exchange, { kind: 'intermediate', step: 'prepare' }, headers)).status,
      200,
    )
  })

  for (const [what, body] of [
    ['no JSON', 'kind=jwt'],
    ['a list', '[]'],
    ['an unknown kind', '{"kind":"rsa","step":"prepare"}'],
    ['an unknown step', '{"kind":"jwt","step":"revoke"}'],
    ['an unknown member', '{"kind":"jwt","step":"prepare","when":"now"}'],
    ['a force that is none', '{"kind":"jwt","step":"activate","force":"yes"}'],
    ['a withdrawal of nothing', '{"kind":"jwt","step":"withdraw"}'],
    ['a __proto__', '{"__proto__":{},"kind":"jwt","step":"prepare"}'],
  ] as const)
    test(`answers ${what} with 400`, async () => {
      const answer = await fetch(`${exchange.urls.admin}/keys/rotate`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      })
      assert.equal(answer.status, 400)
    })

  test('takes orders as JSON alone, which a page of elsewhere cannot send unasked', async () => {
    const answer = await order(
      exchange,
      { kind: 'jwt', step: 'prepare' },
      { 'content-type': 'text/plain' },
    )
    assert.equal(answer.status, 415)
  })

  test('does not activate what nobody could have seen yet, and says when', async () => {
    assert.equal((await order(exchange, { kind: 'jwt', step: 'prepare' })).status, 200)
    const { keys } = (await exchange.ask({ path: '/keys' })).json() as { keys: object[] }
    assert.equal(keys.length, 2, 'the prepared key is published')
    const early = await order(exchange, { kind: 'jwt', step: 'activate' })
    assert.equal(early.status, 409)
    assert.match(((await early.json()) as { detail: string }).detail, /Try again in \d+ s/)
    exchange.passTime(900_000)
    assert.equal((await order(exchange, { kind: 'jwt', step: 'activate' })).status, 200)
    exchange.passTime(-900_000)
  })

  test('leaves a record of each order', async () => {
    await order(exchange, { kind: 'intermediate', step: 'prepare' })
    const record = exchange.records.at(-1)
    assert.equal(record?.kind, 'admin')
    assert.equal(record.request?.path, '/keys/rotate')
    await fetch(`${exchange.urls.admin}/join-tokens`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ spiffeId: gateway }),
    })
    assert.equal(exchange.records.at(-1)?.spiffeId, gateway)
    assert.ok(!JSON.stringify(exchange.records).includes('sallyport-join-'))
  })

  test('may be read by a gateway over mTLS, and by nobody else; orders are not taken there', async () => {
    const client = await exchange.join()
    for (const path of ['/admin/healthz', '/admin/readyz', '/admin/metrics', '/admin/status']) {
      assert.equal((await exchange.ask({ path, client })).status, 200, path)
      assert.equal((await exchange.ask({ path })).status, 401, path)
    }
    const answer = await exchange.ask({ method: 'POST', path: '/admin/keys/rotate', client })
    assert.equal(answer.status, 404)
  })
})

suite('an exchange as the command starts it', () => {
  test('serves, writes its records to the file, and ends', async () => {
    const { folder, config } = await configuredFolder({ audit: { file: 'audit.jsonl' } })
    const exchange = await startExchange(config, { log: noLog })
    const healthy = await fetch(`${exchange.urls.admin}/readyz`)
    assert.equal(healthy.status, 200)
    await fetch(`${exchange.urls.admin}/keys/rotate`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ kind: 'jwt', step: 'prepare' }),
    })
    await exchange.close()
    const lines = (await readFile(join(folder, 'audit.jsonl'), 'utf8')).trim().split('\n')
    assert.equal(lines.length, 1)
    const record = JSON.parse(lines[0] ?? '') as AuditEvent
    assert.equal(record.kind, 'admin')
    assert.equal(record.detail, 'prepare jwt')
    await rm(folder, { recursive: true })
  })

  test('does not start with keys that it cannot trust, and says what to do', async () => {
    const { folder, config } = await configuredFolder({
      ca: { store: { directory: 'ca' } },
      audit: { file: 'audit.jsonl' },
    })
    await (await startExchange(config, { log: noLog })).close()
    await writeFile(join(folder, 'ca', 'keys.json'), '{')
    await assert.rejects(startExchange(config, { log: noLog }), /keys\.json is corrupt: .*Remedy/)
    await rm(folder, { recursive: true })
  })
})

suite('an exchange with a directory', () => {
  test('goes on with its keys after a restart, and leaves its roots for gateways', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'sallyport-ca-'))
    const ca = { store: { directory: join(directory, 'ca') } }
    const first = await startTestExchange({ ca })
    const keys = (await first.ask({ path: '/keys' })).body
    const roots = first.roots()
    const client = await first.join()
    await first.stop()
    const second = await startTestExchange({ ca })
    assert.deepEqual((await second.ask({ path: '/keys' })).body, keys)
    assert.equal(second.roots(), roots)
    assert.equal(await readFile(join(ca.store.directory, 'roots.pem'), 'utf8'), roots)
    assert.equal((await stat(join(ca.store.directory, 'keys.json'))).mode & 0o777, 0o600)
    assert.equal((await second.ask({ path: '/admin/healthz', client })).status, 200)
    await second.stop()
    await rm(directory, { recursive: true })
  })

  test('whose port is taken says so and leaves nothing open', async () => {
    const first = await startTestExchange()
    await assert.rejects(
      startTestExchange({
        listeners: { exchange: { port: first.exchange.port }, admin: { port: 0 } },
      }),
      /port \d+ on 127\.0\.0\.1 is taken/,
    )
    await first.stop()
  })

  test('refuses a name that no certificate can have', async () => {
    const listeners = { exchange: { port: 0, names: ['not a name'] }, admin: { port: 0 } }
    await assert.rejects(startTestExchange({ listeners }), /not a name/)
  })
})
