import assert from 'node:assert/strict'
import { Duplex, Readable } from 'node:stream'
import { test } from 'node:test'
import { h2Client } from '#http/h2-client/h2-client'
import { ask, clientOf, tcp, until } from './ask.ts'
import {
  answer,
  data,
  goaway,
  headers,
  reset,
  scriptedPeer,
  type Script,
  settings,
  status200,
  windowUpdate,
} from './scripted-peer.ts'

const refusedStream = 7
const start = async (
  t: { after: (done: () => Promise<void>) => void },
  script: Script,
  limits = {},
) => {
  const peer = await scriptedPeer(script)
  const client = clientOf(peer.port, { firstBackoffMs: 1, ...limits })
  t.after(async () => {
    client.destroy(new Error('the test is over'))
    await peer.close()
  })
  return { peer, client }
}

test('GOAWAY: what is above its last stream goes to a new connection, what is not is answered', async (t) => {
  const { peer, client } = await start(t, {
    onRequest: (connection, id, number) => {
      if (number > 1) return connection.send(answer(id, `again ${id}`))
      if (id === 5) connection.send(goaway(3) + answer(1) + answer(3))
    },
  })
  const answers = await Promise.all([ask(client), ask(client), ask(client)])
  assert.deepEqual(
    answers.map(({ body }) => body),
    ['answer 1', 'answer 3', 'again 1'],
  )
  await until(() => peer.connections[0]?.closed === true, 'the end of the first connection')
  assert.equal(peer.connections[0]?.goaway, 0)
})

test('GOAWAY: a graceful one lets all in flight finish, and takes nothing new', async (t) => {
  const { peer, client } = await start(t, {
    onRequest: (connection, id, number) => {
      if (number > 1) return connection.send(answer(id, 'new'))
      connection.send(goaway(2 ** 31 - 1))
      setTimeout(() => connection.send(goaway(id) + answer(id)), 50)
    },
  })
  const first = ask(client)
  await until(() => client.stats().open === 0 && client.stats().inFlight === 1, 'GOAWAY')
  assert.equal((await ask(client)).body, 'new')
  assert.equal((await first).body, 'answer 1')
  assert.equal(peer.connections.length, 2)
})

test('GOAWAY in the middle of an upload fails it: its body was read, so it cannot be sent again', async (t) => {
  const { peer, client } = await start(t, {
    onFrame: (connection, { type }) => {
      if (type === 0) connection.send(goaway(0))
    },
  })
  const source = new Readable({ read: () => {} })
  source.push('a beginning')
  const { fault } = await ask(client, { method: 'POST', body: source })
  assert.equal(fault?.kind, 'broken')
  assert.equal(fault?.unsent, false)
  assert.equal(source.destroyed, false)
  assert.equal(peer.connections.length, 1)
})

test('GOAWAY before anything of a body was read has it sent again, whole', async (t) => {
  const { client } = await start(t, {
    onRequest: (connection, _, number) => {
      if (number === 1) connection.send(goaway(0))
    },
    onFrame: (connection, { type, flags, streamId, payload }) => {
      if (type === 0 && (flags & 1) !== 0)
        connection.send(answer(streamId, `got ${payload.length}`))
    },
  })
  const { body } = await ask(client, { method: 'POST', body: Buffer.alloc(500) })
  assert.equal(body, 'got 500')
})

test('a body that stands in line when its request is refused goes out on the new connection alone', async (t) => {
  const { peer, client } = await start(t, {
    onRequest: (connection, id, number) => {
      if (number === 2) connection.send(windowUpdate(0, 100_000) + windowUpdate(id, 100_000))
    },
    onFrame: (connection, { type, flags, streamId }) => {
      if (type === 0 && (flags & 1) !== 0) connection.send(answer(streamId, 'uploaded'))
    },
  })
  const held = ask(client)
  const uploads = [1, 2].map(() => ask(client, { method: 'POST', body: Buffer.alloc(80_000) }))
  const sent = (at: number) =>
    (peer.connections[at]?.frames ?? [])
      .filter(({ type }) => type === 0)
      .reduce((sum, { payload }) => sum + payload.length, 0)
  await until(() => sent(0) === 65_535, 'the window to be full')
  const [first] = peer.connections
  first?.send(goaway(1))
  for (const { body } of await Promise.all(uploads)) assert.equal(body, 'uploaded')
  assert.equal(sent(1), 160_000)
  first?.send(windowUpdate(0, 1_000_000) + answer(1))
  assert.equal((await held).body, 'answer 1')
  assert.equal(sent(0), 65_535)
})

test('REFUSED_STREAM: the request is sent once more', async (t) => {
  const { peer, client } = await start(t, {
    onRequest: (connection, id) => connection.send(id === 1 ? reset(1, refusedStream) : answer(id)),
  })
  assert.equal((await ask(client)).body, 'answer 3')
  assert.equal(peer.connections.length, 1)
})

test('REFUSED_STREAM again and again is busy, and unsent', async (t) => {
  const { peer, client } = await start(t, {
    onRequest: (connection, id) => connection.send(reset(id, refusedStream)),
  })
  const { fault } = await ask(client)
  assert.equal(fault?.kind, 'busy')
  assert.equal(fault?.unsent, true)
  assert.deepEqual(peer.connections[0]?.streams, [1, 3])
})

test('REFUSED_STREAM after a head is not believed', async (t) => {
  const { client } = await start(t, {
    onRequest: (connection, id) =>
      connection.send(headers(id, status200) + data(id, 'x', false) + reset(id, refusedStream)),
  })
  const { fault, status } = await ask(client)
  assert.equal(status, 200)
  assert.equal(fault?.kind, 'broken')
  assert.equal(fault?.unsent, false)
})

for (const [name, began] of [
  ['head', headers(1, status200)],
  ['1xx answer', headers(1, '\x08\x03103')],
] as const)
  test(`GOAWAY is not believed about a request to which a ${name} came already`, async (t) => {
    const { peer, client } = await start(t, {
      onRequest: (connection) => connection.send(began + goaway(0)),
    })
    const { fault } = await ask(client)
    assert.equal(fault?.kind, 'broken')
    assert.equal(fault?.unsent, false)
    assert.equal(peer.connections.length, 1)
  })

test('a connection that is lost after the request was written does not have it sent again', async (t) => {
  const { peer, client } = await start(t, {
    onRequest: (connection) => connection.socket.destroy(),
  })
  const { fault } = await ask(client)
  assert.equal(fault?.kind, 'broken')
  assert.equal(fault?.unsent, false)
  assert.equal(peer.connections.length, 1)
})

test('a connection that is lost before the request was written has it sent again', async (t) => {
  const peer = await scriptedPeer({ onRequest: (connection, id) => connection.send(answer(id)) })
  t.after(peer.close)
  const written: Buffer[] = []
  const doomed = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _, done) => {
      written.push(chunk)
      done()
    },
  })
  let connects = 0
  const client = h2Client({
    connect: async (wishes) =>
      ++connects === 1 ? { ok: true, socket: doomed } : tcp(peer.port)(wishes),
    limits: { firstBackoffMs: 0 },
  })
  void ask(client) // opens the connection that is to be lost
  await until(() => written.length > 0, 'the first write')
  doomed.push(Buffer.from(settings(), 'latin1'))
  const asked = ask(client)
  doomed.destroy() // in the same turn, so before the end of it
  assert.equal((await asked).body, 'answer 1')
  assert.equal(written.length, 1)
  await client.close()
})

test('an answer is never given to a request that was sent again', async (t) => {
  const { client } = await start(t, {
    onRequest: (connection, id, number) => {
      if (number === 1 && id === 1) connection.send(goaway(0) + answer(1, 'stale'))
      else if (number > 1) connection.send(answer(id, 'fresh'))
    },
  })
  assert.equal((await ask(client)).body, 'fresh')
})
