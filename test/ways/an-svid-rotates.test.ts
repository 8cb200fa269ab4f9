import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startLoad } from './load.ts'
import { eventually, ids, meshRig, openRoute } from './rig.ts'

/** Longer than an answer is always given. */
const shortMs = 11_000
/** A certificate is valid from so long before it was made, and that counts. */
const backdatedMs = 10_000
/** Ends are looked at once a second. */
const slackMs = 2500

type Connection = { readonly endsAtMs: number; readonly serial: string; closedAtMs?: number }

test('an SVID rotates without a dropped request, and no connection outlives the one that it was made with', async () => {
  const rig = await meshRig()
  after(rig.close)
  const rotate = async (lifetimeMs: number) => {
    const { cert, key } = await rig.svidOf(ids.gateway, lifetimeMs + backdatedMs)
    writeFileSync(rig.svidFiles.keyFile, key)
    writeFileSync(rig.svidFiles.certificateFile, cert)
  }
  const service = await rig.service((req, res) => {
    if (req.url !== '/a/stream') return void res.end('yes')
    res.writeHead(200, { 'content-type': 'text/event-stream' })
    const timer = setInterval(() => res.write('data: 1\n\n'), 50)
    res.once('close', () => clearInterval(timer))
  })
  const connections: Connection[] = []
  service.server.on('secureConnection', (socket: TLSSocket) => {
    const { valid_to: end, serialNumber } = socket.getPeerCertificate()
    const connection: Connection = { endsAtMs: Date.parse(end), serial: serialNumber }
    connections.push(connection)
    socket.once('close', () => (connection.closedAtMs = Date.now()))
    socket.on('error', () => {}) // it may be cut
  })
  await rotate(shortMs)
  const began = Date.now()
  const gateway = await rig.gateway('gateway', {
    upstreams: { service: { endpoints: [service.url], spiffeId: ids.service } },
    routes: [openRoute('a', '/a', { totalTimeoutMs: 0 })],
  })
  const load = startLoad({
    port: gateway.port,
    ca: gateway.ca,
    path: '/a/1',
    callers: 8,
    pauseMs: 40,
  })
  const stream = request({
    host: '127.0.0.1',
    port: gateway.port,
    servername: 'localhost',
    ca: gateway.ca,
    path: '/a/stream',
    headers: { host: 'localhost' },
    agent: false,
  }).end()
  const [events] = (await once(stream, 'response')) as [IncomingMessage]
  const streamEnded = new Promise((resolve) => {
    events
      .resume()
      .on('error', () => {}) // cut midway
      .once('close', resolve)
  })

  const serials = () => new Set(connections.map(({ serial }) => serial)).size
  for (const [i, lifetimeMs] of [1_800_000, 3_600_000].entries()) {
    await rotate(lifetimeMs)
    await eventually(() => (serials() >= i + 2 ? true : undefined))
  }
  await streamEnded // it began on the first SVID, and ended with it
  assert.ok(Date.now() - began <= shortMs + slackMs + 1000)
  await sleep(300)
  await load.stop()

  assert.deepEqual(load.lost, [])
  assert.deepEqual(Object.keys(load.statuses), ['200'])
  assert.ok(load.answered() > 300, `only ${load.answered()}`)
  assert.equal(serials(), 3)
  const old = connections.filter(({ endsAtMs }) => endsAtMs < Date.now())
  assert.ok(old.length >= 1)
  for (const { endsAtMs, closedAtMs = Number.POSITIVE_INFINITY } of old)
    assert.ok(closedAtMs <= endsAtMs + slackMs, `${closedAtMs - endsAtMs} ms beyond its SVID`)
  console.log(`  ${load.answered()} requests, ${connections.length} connections, 3 SVIDs`)
})
