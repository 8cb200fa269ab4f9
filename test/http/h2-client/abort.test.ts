import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import type { H2Limits } from '#http/h2-client/h2-client'
import type { UpstreamControl } from '#http/upstream-client'
import { ask, clientOf, until } from './ask.ts'
import { answer, data, headers, scriptedPeer, type Script, status200 } from './scripted-peer.ts'

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
const cancel = 8
const noError = 0

test('an abort resets the stream, and what still arrives of it is thrown away', async (t) => {
  const { peer, client } = await start(t, {
    onRequest: (connection, id) => {
      if (id > 1) connection.send(data(1, 'late', false) + data(1, 'later') + answer(id))
      else connection.send(headers(1, status200) + data(1, 'x', false))
    },
  })
  const cause = new Error('the caller left')
  const { fault, body } = await ask(client, { onData: (control) => control.abort(cause) })
  assert.deepEqual(fault, { kind: 'aborted', cause, unsent: false })
  assert.equal(body, 'x')
  assert.equal((await ask(client)).body, 'answer 3')
  assert.equal(peer.connections[0]?.resets.get(1), cancel)
})

test('an abort after the end does nothing to whoever has the slot now', async (t) => {
  const { peer, client } = await start(
    t,
    { onRequest: (connection, id) => void (id < 30 && connection.send(answer(id))) },
    { maxInFlight: 1 },
  )
  const controls: UpstreamControl[] = []
  const onStart = (control: UpstreamControl) => void controls.push(control)
  for (let at = 0; at < 15; at++) await ask(client, { onStart })
  const open = ask(client)
  await until(() => client.stats().inFlight === 1, 'a request')
  for (const control of controls) {
    control.pause()
    control.abort(new Error('too late'))
    control.resume()
  }
  await until(() => peer.connections[0]?.streams.length === 16, 'the last request')
  peer.connections[0]?.send(answer(peer.connections[0]?.streams.at(-1) ?? 0, 'unharmed'))
  assert.equal((await open).body, 'unharmed')
  assert.equal(peer.connections[0]?.resets.size, 0)
})

test('a storm of aborts does not become a storm of resets', async (t) => {
  const { peer, client } = await start(t, {}, { resetBurst: 8, resetsPerSecond: 4 })
  const controls: UpstreamControl[] = []
  const asked = Array.from({ length: 16 }, () =>
    ask(client, { onStart: (control) => void controls.push(control) }),
  )
  await until(() => peer.connections[0]?.streams.length === 16, 'all requests')
  for (const control of controls) control.abort(new Error('no'))
  for (const { fault } of await Promise.all(asked)) assert.equal(fault?.kind, 'aborted')
  const [connection] = peer.connections
  await until(() => (connection?.resets.size ?? 0) >= 8, 'the first resets')
  assert.ok((connection?.resets.size ?? 0) < 16)
  assert.ok(client.stats().inFlight > 0) // still open at the peer, so they count
  // The others follow as the budget allows; one whose answer ends before that needs none.
  connection?.send(answer(31))
  await until(() => client.stats().inFlight === 0, 'all resets')
  await until(() => connection?.resets.size === 15, 'all resets')
  assert.equal(connection?.resets.has(31), false)
  assert.equal(connection?.goaway, undefined)
})

test('data that was under way when its streams were reset is not held against the peer', async (t) => {
  const { peer, client } = await start(t, {
    onRequest: (connection, id) => {
      if (id > 40) return connection.send(answer(id))
      // Two hundred small frames each, of which all but the first come to a closed stream.
      connection.send(headers(id, status200) + data(id, 'small', false).repeat(200))
    },
  })
  const cause = new Error('enough')
  for (let at = 0; at < 20; at++) {
    const { fault } = await ask(client, { onData: (control) => control.abort(cause) })
    assert.equal(fault?.kind, 'aborted')
  }
  assert.equal((await ask(client)).body, 'answer 41')
  assert.equal(peer.connections.length, 1)
  assert.equal(peer.connections[0]?.goaway, undefined)
})

test('an answer that is whole before the request was sent ends the request', async (t) => {
  const { peer, client } = await start(t, {
    onRequest: (connection, id) => connection.send(answer(id)),
  })
  const body = new Readable({ read: () => {} })
  body.push('a beginning')
  const { fault, status } = await ask(client, { method: 'POST', body })
  assert.equal(fault, undefined)
  assert.equal(status, 200)
  await until(() => peer.connections[0]?.resets.size === 1, 'RST_STREAM')
  assert.equal(peer.connections[0]?.resets.get(1), noError)
  assert.equal(body.destroyed, false)
  assert.equal(body.listenerCount('readable'), 0)
})

test('a body that breaks off resets the stream, so the peer does not take it for whole', async (t) => {
  const { peer, client } = await start(t, {})
  for (const [at, end] of [
    (body: Readable) => body.destroy(new Error('gone')),
    (body: Readable) => body.destroy(),
  ].entries()) {
    const body = new Readable({ read: () => {} })
    body.push('a beginning')
    setTimeout(() => end(body), 20)
    const { fault } = await ask(client, { method: 'POST', body })
    assert.equal(fault?.kind, 'aborted')
    await until(() => peer.connections[0]?.resets.get(2 * at + 1) === cancel, 'RST_STREAM')
  }
})

for (const [name, length] of [
  ['shorter', '12'],
  ['longer', '3'],
] as const)
  test(`a body that is ${name} than its content-length is not passed off as whole`, async (t) => {
    const ended: number[] = []
    const { peer, client } = await start(t, {
      onFrame: (_, { type, flags, streamId }) =>
        void (type === 0 && flags & 1 && ended.push(streamId)),
    })
    const { fault } = await ask(client, {
      method: 'POST',
      headers: ['content-length', length],
      body: Readable.from([Buffer.from('some body')]),
    })
    assert.equal(fault?.kind, 'aborted')
    await until(() => peer.connections[0]?.resets.get(1) === cancel, 'RST_STREAM')
    assert.deepEqual(ended, [])
  })

test('a body of known length ends with its last frame', async (t) => {
  const sizes: number[] = []
  const { client } = await start(t, {
    onFrame: (connection, { type, flags, streamId, payload }) => {
      if (type === 0) sizes.push(payload.length)
      if (type === 0 && flags & 1) connection.send(answer(streamId))
    },
  })
  const body = Readable.from([Buffer.alloc(20_000), Buffer.alloc(5)])
  await ask(client, { method: 'POST', headers: ['content-length', '20005'], body })
  assert.deepEqual(sizes, [16_384, 3_616, 5])
})

test('what comes early from a client’s own view: an error of the body after the end is nobody’s crash', async (t) => {
  const { client } = await start(t, { onRequest: (connection, id) => connection.send(answer(id)) })
  const body = new Readable({ read: () => {} })
  body.push('x')
  await ask(client, { method: 'POST', body })
  body.destroy(new Error('late'))
  await new Promise((resolve) => setTimeout(resolve, 10))
  assert.equal((await ask(client)).status, 200)
})
