import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import { Agent, request } from 'undici'
import { tokenExchangeGrant, tokenTypes } from '#contract/token-exchange'
import type { Svid } from '#identity/svid/svid'
import { ids } from '#cli/demo/configs'
import { findTool, without } from '../tools.ts'
import { runningMesh } from '../ways/running-mesh.ts'
import { svidFor } from './mesh-identity.ts'

const envoy = findTool('envoy')
const skip = without({ envoy })

const freePort = async () => {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

/** The service behind the sidecar: says what reached it. */
const startService = async () => {
  const server = createServer((req, res) => res.end(`reached: ${req.url}`))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  after(() => server.close())
  return (server.address() as AddressInfo).port
}

const setUp = async () => {
  const mesh = await runningMesh()
  const file = (name: string) => join(mesh.files.folder, name)
  const orders = await svidFor(mesh, ids.orders)
  writeFileSync(file('envoy.pem'), orders.certificateChain)
  writeFileSync(file('envoy.key'), orders.privateKey.reveal())
  const ask = (agent: Agent, path: string, body?: URLSearchParams) =>
    request(`https://localhost:${mesh.ports.exchange}${path}`, {
      dispatcher: agent,
      ...(body
        ? {
            method: 'POST',
            headers: { 'content-type': 'application/x-www-form-urlencoded' },
            body: body.toString(),
          }
        : {}),
    })
  const keys = await ask(new Agent({ connect: { ca: orders.bundle } }), '/keys')
  writeFileSync(file('keys.json'), await keys.body.text())

  const sidecarPort = await freePort()
  const words = {
    LISTEN_PORT: sidecarPort,
    SERVICE_PORT: await startService(),
    CERTIFICATE_FILE: file('envoy.pem'),
    KEY_FILE: file('envoy.key'),
    ROOTS_FILE: mesh.files.meshRoot,
    KEYS_FILE: file('keys.json'),
    GATEWAY_ID: ids.gateway,
    SERVICE_ID: ids.orders,
    EXCHANGE_ISSUER: `https://localhost:${mesh.ports.exchange}`,
    ADMITTED_ID: 'spiffe://mesh.demo/acme/people/alice',
  }
  let config = readFileSync(new URL('./envoy/sidecar.yaml', import.meta.url), 'utf8')
  for (const [word, value] of Object.entries(words)) config = config.replaceAll(word, String(value))
  writeFileSync(file('sidecar.yaml'), config)
  const child = spawn(
    String(envoy),
    [
      '-c',
      file('sidecar.yaml'),
      '--concurrency',
      '1',
      '--use-dynamic-base-id',
      '--log-level',
      'error',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  after(async () => {
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  await listening(sidecarPort, () => said)

  // The route of the demo's orders now leads to Envoy: swapped in by a reload, while everything runs.
  const swapped = readFileSync(mesh.files.gateway, 'utf8').replaceAll(
    `https://127.0.0.1:${mesh.ports.orders}`,
    `https://127.0.0.1:${sidecarPort}`,
  )
  writeFileSync(mesh.files.gateway, swapped)
  process.kill(mesh.pids().gateway, 'SIGHUP')
  await sleep(1500)
  return { mesh, sidecarPort, ask }
}

const listening = async (port: number, said: () => string) => {
  for (let waitedMs = 0; waitedMs < 15_000; waitedMs += 100) {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
    const isUp = await Promise.race([
      once(socket, 'secureConnect').then(() => true),
      once(socket, 'error').then(
        ([error]) => (error as NodeJS.ErrnoException).code !== 'ECONNREFUSED',
      ),
    ]).catch(() => false)
    socket.destroy()
    if (isUp) return
    await sleep(100)
  }
  throw new Error(`Envoy did not start: ${said()}`)
}

const agentAs = (svid: Svid) =>
  new Agent({
    connect: {
      ca: svid.bundle,
      cert: svid.certificateChain,
      key: svid.privateKey.reveal(),
      checkServerIdentity: () => undefined, // what matters here is whom the sidecar lets in
      maxCachedSessions: 0,
    },
  })

const running = skip.skip === undefined ? await setUp() : undefined

test('Envoy lets the caller through whom its rule admits', skip, async () => {
  const { mesh } = running!
  const answer = await mesh.caller.send({
    path: '/orders/7',
    token: await mesh.issuer.tokenFor('alice'),
  })
  assert.equal(answer.status, 200, JSON.stringify(answer))
  assert.equal(answer.body, 'reached: /orders/7')
})

test('Envoy refuses another caller, with a minted token that is as good', skip, async () => {
  const { mesh } = running!
  const answer = await mesh.caller.send({
    path: '/orders/7',
    token: await mesh.issuer.tokenFor('carol'),
  })
  assert.equal(answer.status, 403)
  assert.equal(answer.body, 'RBAC: access denied')
})

test('who shows no certificate, or not the gateway’s, does not get in', skip, async () => {
  const { mesh, sidecarPort } = running!
  const url = `https://127.0.0.1:${sidecarPort}/orders/7`
  const billing = agentAs(await svidFor(mesh, ids.billing))
  const nobody = new Agent({ connect: { rejectUnauthorized: false } })
  for (const dispatcher of [billing, nobody])
    await assert.rejects(request(url, { dispatcher }), (cause: Error) =>
      /alert|socket|ECONNRESET|closed/i.test(cause.message),
    )
})

test(
  'with the gateway’s certificate and a token for another service, one gets no further',
  skip,
  async () => {
    const { mesh, sidecarPort, ask } = running!
    const gateway = agentAs(await svidFor(mesh, ids.gateway))
    const mint = async (audience: string) => {
      const answer = await ask(
        gateway,
        '/token',
        new URLSearchParams({
          grant_type: tokenExchangeGrant,
          subject_token: await mesh.issuer.tokenFor('alice'),
          subject_token_type: tokenTypes.jwt,
          requested_token_type: tokenTypes.jwt,
          audience,
        }),
      )
      return ((await answer.body.json()) as { access_token: string }).access_token
    }
    const at = async (token?: string) => {
      const answer = await request(`https://127.0.0.1:${sidecarPort}/orders/7`, {
        dispatcher: gateway,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      })
      await answer.body.dump()
      return answer.statusCode
    }
    assert.equal(await at(), 401)
    assert.equal(await at(await mint(ids.billing)), 403)
    assert.equal(await at(await mesh.issuer.tokenFor('alice')), 401)
    assert.equal(await at(await mint(ids.orders)), 200)
  },
)
