import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { connect } from 'node:tls'
import { Agent, request } from 'undici'
import { tokenExchangeGrant, tokenTypes } from '#contract/token-exchange'
import type { Svid } from '#identity/svid/svid'
import { ids } from '#cli/demo/configs'
import type { DemoMesh } from '#cli/demo/mesh'
import { findTool, without } from '../tools.ts'
import { runningMesh } from '../ways/running-mesh.ts'
import { runEnvoy } from './envoy/running-envoy.ts'
import { svidFor } from './mesh-identity.ts'
import { reloadGateway } from './reload-gateway.ts'

const envoy = findTool('envoy')
const skip = without({ envoy })

/** The service behind the sidecar: notes what reached it. */
const startService = async () => {
  const reached: string[] = []
  const server = createServer((req, res) => {
    reached.push(req.url ?? '')
    res.end(`reached: ${req.url}`)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  after(() => server.close())
  return { port: (server.address() as AddressInfo).port, reached }
}

const setUp = async () => {
  const mesh = await runningMesh()
  const service = await startService()
  const file = (name: string) => join(mesh.files.folder, name)
  const orders = await svidFor(mesh, ids.orders)
  writeFileSync(file('envoy.pem'), orders.certificateChain)
  writeFileSync(file('envoy.key'), orders.privateKey.reveal(), { mode: 0o600 })
  const agent = agentAs(orders)
  const keys = await request(`${exchangeUrl(mesh)}/keys`, { dispatcher: agent })
  writeFileSync(file('keys.json'), await keys.body.text())
  const config = filled(readFileSync(new URL('./envoy/sidecar.yaml', import.meta.url), 'utf8'), {
    SERVICE_PORT: service.port,
    CERTIFICATE_FILE: file('envoy.pem'),
    KEY_FILE: file('envoy.key'),
    ROOTS_FILE: mesh.files.meshRoot,
    KEYS_FILE: file('keys.json'),
    GATEWAY_ID: ids.gateway,
    SERVICE_ID: ids.orders,
    EXCHANGE_ISSUER: exchangeUrl(mesh),
    ADMITTED_ID: 'spiffe://mesh.demo/acme/people/alice',
  })
  const sidecar = await runEnvoy(String(envoy), config, mesh.files.folder)

  // The demo's orders now are behind Envoy: swapped in by a reload, while everything runs.
  const swapped = readFileSync(mesh.files.gateway, 'utf8').replaceAll(
    `https://127.0.0.1:${mesh.ports.orders}`,
    `https://127.0.0.1:${sidecar.port}`,
  )
  writeFileSync(mesh.files.gateway, swapped)
  await reloadGateway(mesh)
  return { mesh, sidecar, service }
}

const filled = (text: string, words: Readonly<Record<string, string | number>>): string =>
  Object.entries(words).reduce((all, [word, value]) => all.replaceAll(word, String(value)), text)

const exchangeUrl = (mesh: DemoMesh) => `https://localhost:${mesh.ports.exchange}`

const agentAs = (svid: Svid): Agent => {
  const agent = new Agent({
    connect: {
      ca: svid.bundle,
      cert: svid.certificateChain,
      key: svid.privateKey.reveal(),
      checkServerIdentity: () => undefined, // what matters here is whom the sidecar lets in
      maxCachedSessions: 0,
    },
  })
  after(() => agent.destroy())
  return agent
}

const running = skip.skip === undefined ? await setUp() : undefined

test('Envoy lets the caller through whom its rule admits, over HTTP/2', skip, async () => {
  const { mesh, sidecar, service } = running!
  const answer = await mesh.caller.send({
    path: '/orders/7',
    token: await mesh.issuer.tokenFor('alice'),
  })
  assert.equal(answer.status, 200, JSON.stringify(answer))
  assert.equal(answer.body, 'reached: /orders/7')
  assert.deepEqual(service.reached.splice(0), ['/orders/7'])
  assert.equal(await sidecar.counter('http.sidecar.downstream_cx_http2_total'), 1)
})

test('Envoy refuses another caller, with a minted token that is as good', skip, async () => {
  const { mesh, sidecar, service } = running!
  const answer = await mesh.caller.send({
    path: '/orders/7',
    token: await mesh.issuer.tokenFor('carol'),
  })
  assert.equal(answer.status, 403)
  assert.equal(answer.body, 'RBAC: access denied')
  assert.deepEqual(service.reached, [])
  assert.equal(await sidecar.counter('http.sidecar.rbac.denied'), 1)
})

/** How a connection fares. TLS 1.3 lets the client finish first, and tells of a refusal afterwards. */
const handshake = async (port: number, svid?: Svid): Promise<string> => {
  const socket = connect({
    host: '127.0.0.1',
    port,
    rejectUnauthorized: false,
    ...(svid ? { cert: svid.certificateChain, key: svid.privateKey.reveal() } : {}),
  })
  socket.on('secureConnect', () => socket.write('GET /orders/7 HTTP/1.1\r\nHost: orders\r\n\r\n'))
  return new Promise((resolve) => {
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(String(code)))
    socket.once('data', (data) => resolve(data.toString()))
    socket.once('close', () => resolve('closed'))
  }).then((fared) => {
    socket.destroy()
    return String(fared)
  })
}

test('who shows no certificate, or not the gateway’s, does not get in', skip, async () => {
  const { mesh, sidecar, service } = running!
  assert.match(await handshake(sidecar.port), /ALERT_CERTIFICATE_REQUIRED$/)
  assert.match(
    await handshake(sidecar.port, await svidFor(mesh, ids.billing)),
    /ALERT_CERTIFICATE_UNKNOWN$/,
  )
  assert.equal(await sidecar.counter('listener.127.0.0.1_\\d+.ssl.fail_verify_no_cert'), 1)
  assert.equal(await sidecar.counter('listener.127.0.0.1_\\d+.ssl.fail_verify_san'), 1)
  assert.deepEqual(service.reached, [])
  // The same way, with the right certificate, gets an answer: what failed above was the certificate.
  assert.match(await handshake(sidecar.port, await svidFor(mesh, ids.gateway)), /^HTTP\/1\.1 401 /)
})

test(
  'with the gateway’s certificate and a token for another service, one gets no further',
  skip,
  async () => {
    const { mesh, sidecar, service } = running!
    const dispatcher = agentAs(await svidFor(mesh, ids.gateway))
    const alice = await mesh.issuer.tokenFor('alice')
    const mint = async (audience: string) => {
      const answer = await request(`${exchangeUrl(mesh)}/token`, {
        dispatcher,
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({
          grant_type: tokenExchangeGrant,
          subject_token: alice,
          subject_token_type: tokenTypes.jwt,
          requested_token_type: tokenTypes.jwt,
          audience,
        }).toString(),
      })
      return ((await answer.body.json()) as { access_token: string }).access_token
    }
    const statusWith = async (token?: string) => {
      const answer = await request(`https://127.0.0.1:${sidecar.port}/orders/7`, {
        dispatcher,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      })
      await answer.body.dump()
      return answer.statusCode
    }
    assert.equal(await statusWith(), 401)
    assert.equal(await statusWith(await mint(ids.billing)), 403)
    assert.equal(await statusWith(alice), 401)
    assert.deepEqual(service.reached, [])
    assert.equal(await statusWith(await mint(ids.orders)), 200)
  },
)
