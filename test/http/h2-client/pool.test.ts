import assert from 'node:assert/strict'
import { createServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { type Connect, h2Client, type H2Limits } from '#http/h2-client/h2-client'
import type { UpstreamControl } from '#http/upstream-client'
import { ask, clientOf, tcp, until } from './ask.ts'
import { answer, type Peer, scriptedPeer, type Script, settings } from './scripted-peer.ts'

type Scope = { after: (done: () => Promise<void>) => void }
const start = async (t: Scope, script: Script, limits: Partial<H2Limits> = {}) => {
  const peer = await scriptedPeer(script)
  const client = clientOf(peer.port, { firstBackoffMs: 1, ...limits })
  t.after(async () => {
    client.destroy(new Error('the test is over'))
    await peer.close()
  })
  return { peer, client }
}
const closedPort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
const streams = (peer: Peer) => peer.connections.map((connection) => connection.streams.length)

test('no more requests are in flight than the peer allows; the rest wait their turn', async (t) => {
  let most = 0
  let open = 0
  const { peer, client } = await start(
    t,
    {
      greeting: settings([3, 3]),
      onRequest: (connection, id) => {
        most = Math.max(most, ++open)
        setTimeout(() => {
          open--
          connection.send(answer(id))
        }, 2)
      },
    },
    { maxConnections: 1 },
  )
  await ask(client) // after it, the settings are known
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(client)))
  assert.ok(answers.every(({ fault }) => fault === undefined))
  assert.equal(most, 3)
  assert.deepEqual(streams(peer), [21])
})

test('a second connection is opened when the first is full, and not before', async (t) => {
  const held: (() => void)[] = []
  const { peer, client } = await start(
    t,
    { onRequest: (connection, id) => void held.push(() => connection.send(answer(id))) },
    { maxInFlight: 2, maxConnections: 2 },
  )
  const asked = [ask(client), ask(client)]
  await until(() => held.length === 2, 'two requests')
  assert.equal(peer.connections.length, 1)
  asked.push(ask(client), ask(client))
  await until(() => held.length === 4, 'four requests')
  assert.deepEqual(streams(peer), [2, 2])
  for (const go of held) go()
  await Promise.all(asked)
})

test('a burst at the start waits for the settings of the first connection before it opens a second', async (t) => {
  const { peer, client } = await start(t, {
    greeting: '',
    acknowledges: false,
    onConnection: (connection) => void setTimeout(() => connection.send(settings([3, 1_000])), 30),
    onRequest: (connection, id) => void setTimeout(() => connection.send(answer(id)), 60),
  })
  const answers = await Promise.all(Array.from({ length: 300 }, () => ask(client)))
  assert.ok(answers.every(({ fault }) => fault === undefined))
  assert.deepEqual(streams(peer), [300])
})

test('what neither a connection nor the queue can take is busy, and unsent', async (t) => {
  const { client } = await start(t, {}, { maxInFlight: 1, maxConnections: 1, maxQueued: 2 })
  const opened = ask(client)
  await until(() => client.stats().inFlight === 1, 'a connection')
  const queued = [ask(client), ask(client)]
  const { fault } = await ask(client)
  assert.equal(fault?.kind, 'busy')
  assert.equal(fault?.unsent, true)
  assert.deepEqual(client.stats(), { open: 1, connecting: 0, inFlight: 1, queued: 2 })
  client.destroy(new Error('over'))
  assert.equal((await opened).fault?.kind, 'broken')
  for (const { fault } of await Promise.all(queued)) {
    assert.equal(fault?.kind, 'unreachable')
    assert.equal(fault?.unsent, true)
  }
})

test('a request that was aborted while it waited leaves its place', async (t) => {
  const { client } = await start(t, {}, { maxInFlight: 1, maxConnections: 1, maxQueued: 1 })
  void ask(client)
  await until(() => client.stats().inFlight === 1, 'a connection')
  let control: UpstreamControl | undefined
  const waiting = ask(client, { onStart: (given) => (control = given) })
  control?.abort(new Error('the caller left'))
  assert.deepEqual(
    { ...(await waiting).fault, cause: '' },
    { kind: 'aborted', cause: '', unsent: true },
  )
  void ask(client)
  assert.equal(client.stats().queued, 1)
})

test('a request that is aborted at its start is never sent', async (t) => {
  const { peer, client } = await start(t, {})
  const { fault } = await ask(client, { onStart: (control) => control.abort(new Error('no')) })
  assert.equal(fault?.kind, 'aborted')
  assert.equal(peer.connections.length, 0)
})

test('an upstream that refuses is tried with growing pauses, not at the rate of its callers', async () => {
  let tries = 0
  const port = await closedPort()
  const client = h2Client({
    connect: (wishes) => {
      tries++
      return tcp(port)(wishes)
    },
    limits: { firstBackoffMs: 40, longestBackoffMs: 1_000 },
  })
  const endMs = performance.now() + 300
  let faults = 0
  while (performance.now() < endMs) {
    const { fault } = await ask(client)
    assert.equal(fault?.kind, 'unreachable')
    assert.equal(fault?.unsent, true)
    faults++
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.ok(faults > 100, `${faults} requests`)
  assert.ok(tries >= 2 && tries <= 4, `${tries} tries`) // at 0, 40, 120 and 280 ms
  await client.close()
})

test('a peer that breaks each connection at once is not tried at the rate of its callers', async (t) => {
  const { peer, client } = await start(
    t,
    { greeting: 'HTTP/1.1 400 Bad Request\r\n\r\n' },
    { firstBackoffMs: 100 },
  )
  const endMs = performance.now() + 250
  while (performance.now() < endMs) {
    assert.ok((await ask(client)).fault)
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.ok(peer.connections.length <= 3, `${peer.connections.length} connections`)
})

test('after a pause the upstream is tried again, and serves', async (t) => {
  const peer = await scriptedPeer({ onRequest: (connection, id) => connection.send(answer(id)) })
  t.after(peer.close)
  let up = false
  const refusing: Connect = async () => ({
    ok: false,
    kind: 'unreachable',
    cause: new Error('down'),
  })
  const client = h2Client({
    connect: (wishes) => (up ? tcp(peer.port) : refusing)(wishes),
    limits: { firstBackoffMs: 20 },
  })
  assert.equal((await ask(client)).fault?.kind, 'unreachable')
  up = true
  await new Promise((resolve) => setTimeout(resolve, 30))
  assert.equal((await ask(client)).status, 200)
  await client.close()
})

for (const kind of ['identity-wrong', 'timeout', 'unreachable'] as const)
  test(`what connect refuses with, ${kind}, is what every waiting request is told`, async () => {
    const cause = new Error('why')
    const client = h2Client({ connect: async () => ({ ok: false, kind, cause }) })
    for (const { fault } of await Promise.all([ask(client), ask(client)]))
      assert.deepEqual(fault, { kind, cause, unsent: true })
    assert.deepEqual((await ask(client)).fault, { kind, cause, unsent: true })
    await client.close()
  })

test('a connect that throws is unreachable, one that never ends is a timeout and is told so', async () => {
  const rejecting = h2Client({ connect: () => Promise.reject(new Error('a bug')) })
  assert.equal((await ask(rejecting)).fault?.kind, 'unreachable')
  const throwing = h2Client({
    connect: () => {
      throw new Error('a bug')
    },
  })
  assert.equal((await ask(throwing)).fault?.kind, 'unreachable')
  let signal: AbortSignal | undefined
  const endless = h2Client({
    connect: (wishes) => {
      signal = wishes.signal
      return new Promise(() => {})
    },
    limits: { connectTimeoutMs: 30 },
  })
  assert.equal((await ask(endless)).fault?.kind, 'timeout')
  assert.equal(signal?.aborted, true)
  await Promise.all([rejecting.close(), throwing.close(), endless.close()])
})

test('close lets what is in flight and what waits finish, and takes nothing new', async (t) => {
  const held: (() => void)[] = []
  const { peer, client } = await start(
    t,
    { onRequest: (connection, id) => void held.push(() => connection.send(answer(id))) },
    { maxInFlight: 1, maxConnections: 1 },
  )
  const asked = [ask(client), ask(client)]
  await until(() => held.length === 1, 'a request')
  const closed = client.close()
  const { fault } = await ask(client)
  assert.equal(fault?.kind, 'unreachable')
  assert.equal(fault?.unsent, true)
  held[0]?.()
  await until(() => held.length === 2, 'the one that waited')
  held[1]?.()
  for (const { body } of await Promise.all(asked)) assert.match(body, /^answer/)
  await closed
  await until(() => peer.connections[0]?.closed === true, 'the end')
  assert.equal(peer.connections[0]?.goaway, 0)
  await client.close() // again does no harm
})

test('close of a client that never connected, or is connecting, ends', async () => {
  await h2Client({ connect: () => new Promise(() => {}) }).close()
  const connecting = h2Client({ connect: () => new Promise(() => {}) })
  const asked = ask(connecting)
  connecting.destroy(new Error('over'))
  assert.equal((await asked).fault?.kind, 'unreachable')
  await connecting.close()
})

test('a connection is replaced before its stream ids run out', async (t) => {
  const { peer, client } = await start(
    t,
    { onRequest: (connection, id) => connection.send(answer(id)) },
    { maxRequestsPerConnection: 3 },
  )
  for (let at = 0; at < 7; at++) assert.equal((await ask(client)).status, 200)
  assert.deepEqual(streams(peer), [3, 3, 1])
  await until(() => peer.connections[1]?.closed === true, 'the end of the second')
  assert.equal(peer.connections[0]?.goaway, 0)
})

test('a connection that nobody uses is closed', async (t) => {
  const { peer, client } = await start(
    t,
    { onRequest: (connection, id) => connection.send(answer(id)) },
    { idleConnectionMs: 30 },
  )
  await ask(client)
  await until(() => peer.connections[0]?.closed === true, 'the end')
  assert.equal(peer.connections[0]?.goaway, 0)
  assert.equal((await ask(client)).status, 200)
})

test('a stream that stays open for long stands in nobody’s way', async (t) => {
  const { peer, client } = await start(
    t,
    { onRequest: (connection, id) => void (id > 1 && connection.send(answer(id))) },
    { maxInFlight: 4, maxConnections: 1 },
  )
  const long = ask(client)
  for (let at = 0; at < 40; at++) assert.equal((await ask(client)).fault, undefined)
  const [connection] = peer.connections
  assert.ok((connection?.streams.at(-1) ?? 0) > 81, 'ids were skipped')
  connection?.send(answer(1, 'at last'))
  assert.equal((await long).body, 'at last')
})

test('a peer that ends the connection over a long head takes no request of others along', async (t) => {
  const held: (() => void)[] = []
  const { peer, client } = await start(t, {
    onRequest: (connection, id) => {
      if ((connection.frames.at(-1)?.payload.length ?? 0) > 4096) connection.socket.destroy()
      else held.push(() => connection.send(answer(id)))
    },
  })
  const others = [ask(client), ask(client)]
  await until(() => held.length === 2, 'the requests of others')
  const { fault } = await ask(client, { headers: ['x-long', '~'.repeat(6000)] })
  assert.equal(fault?.kind, 'broken')
  assert.equal(client.stats().inFlight, 2)
  for (const release of held) release()
  for (const { body } of await Promise.all(others)) assert.match(body, /^answer/)
  assert.equal(peer.connections.length, 2)
})
