import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import type { UpstreamControl } from '#http/upstream-client'
import { ask, clientOf, until } from '../../http/h2-client/ask.ts'
import {
  answer,
  data,
  frame,
  headers,
  type Peer,
  type PeerConnection,
  scriptedPeer,
  type Script,
  settings,
  status200,
  windowUpdate,
} from '../../http/h2-client/scripted-peer.ts'

const window = 65_536
const limits = { streamWindowBytes: window, maxInFlight: 8, firstBackoffMs: 1 }
const half = 'x'.repeat(8_192)

const start = async (t: { after: (done: () => Promise<void>) => void }, script: Script) => {
  const peer = await scriptedPeer(script)
  const client = clientOf(peer.port, limits)
  t.after(async () => {
    client.destroy(new Error('the test is over'))
    await peer.close()
  })
  return { peer, client }
}

const firstOf = (peer: Peer): PeerConnection => {
  const [first] = peer.connections
  assert.ok(first)
  return first
}

/** Credit that the client gave, for a stream or, for 0, for the connection. */
const credit = (connection: PeerConnection, streamId: number) =>
  connection.frames
    .filter((frame) => frame.type === 8 && frame.streamId === streamId)
    .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 0)

const sentData = (connection: PeerConnection, streamId: number) =>
  connection.frames.filter((frame) => frame.type === 0 && frame.streamId === streamId)
const sentBytes = (connection: PeerConnection, streamId: number) =>
  sentData(connection, streamId).reduce((sum, { payload }) => sum + payload.length, 0)

test('a reader that pauses gives no credit, and gets all that was held when it goes on', async (t) => {
  const { peer, client } = await start(t, {
    onRequest: (connection, id) => {
      connection.send(headers(id, status200))
      for (let at = 0; at < 8; at++) connection.send(data(id, half, false))
    },
  })
  let control: UpstreamControl | undefined
  let arrived = 0
  const asked = ask(client, {
    onStart: (given) => (control = given),
    onHead: (given) => given.pause(),
    onData: (_, chunk) => (arrived += chunk.length),
  })
  await until(() => peer.connections[0]?.streams.length === 1, 'the request')
  await new Promise((resolve) => setTimeout(resolve, 50))
  const connection = firstOf(peer)
  assert.equal(arrived, 0)
  assert.equal(credit(connection, 1), 0)

  control?.resume()
  assert.equal(arrived, window)
  await until(() => credit(connection, 1) === window, 'the credit')
  connection.send(data(1, 'the end'))
  const { body, fault } = await asked
  assert.equal(fault, undefined)
  assert.equal(body.length, window + 7)
})

test('a reader may pause after each part, and nothing is lost or told twice', async (t) => {
  const parts = Array.from({ length: 200 }, (_, at) => `${at},`)
  const { client } = await start(t, {
    onRequest: (connection, id) => {
      connection.send(headers(id, status200) + parts.map((part) => data(id, part, false)).join(''))
      connection.send(data(id, '.'))
    },
  })
  const { body } = await ask(client, {
    onData: (control) => {
      control.pause()
      setImmediate(() => control.resume())
    },
  })
  assert.equal(body, `${parts.join('')}.`)
})

test('what a peer sends beyond the window of a stream costs that stream', async (t) => {
  const { peer, client } = await start(t, {
    onRequest: (connection, id) => {
      if (id !== 1) return connection.send(answer(id))
      connection.send(headers(id, status200))
      for (let at = 0; at < 9; at++) connection.send(data(id, half, false))
    },
  })
  const [first, second] = await Promise.all([
    ask(client, { onHead: (control) => control.pause() }),
    ask(client),
  ])
  assert.equal(first.fault?.kind, 'broken')
  assert.equal(second.body, 'answer 3')
  await until(() => firstOf(peer).resets.size === 1, 'RST_STREAM')
  assert.equal(firstOf(peer).resets.get(1), 3)
})

test('padding counts, and is given back without a reader', async (t) => {
  const { peer, client } = await start(t, {
    onRequest: (connection, id) => {
      connection.send(headers(id, status200))
      const padded = frame(0, 8, id, `\xffx${'\0'.repeat(255)}`)
      connection.send(padded.repeat(200))
    },
  })
  void ask(client, { onHead: (control) => control.pause() })
  await until(() => peer.connections[0] !== undefined && credit(firstOf(peer), 1) > 0, 'credit')
  assert.ok(credit(firstOf(peer), 1) <= 200 * 256)
})

test('slow readers do not hold up the others', async (t) => {
  const { client } = await start(t, {
    onRequest: (connection, id) => {
      if (id > 13) return connection.send(answer(id))
      connection.send(headers(id, status200))
      for (let at = 0; at < 8; at++) connection.send(data(id, half, false))
    },
  })
  for (let at = 0; at < 7; at++) void ask(client, { onHead: (control) => control.pause() })
  const { body } = await ask(client)
  assert.equal(body, 'answer 15')
})

test('the window of the connection is given back, whatever became of the data', async (t) => {
  const total = 40
  const { peer, client } = await start(t, {
    onRequest: (connection, id) => {
      connection.send(headers(id, status200))
      for (let at = 0; at < 4; at++) connection.send(data(id, half, at === 3))
    },
  })
  for (let at = 0; at < total; at++) {
    // In turn: read; held and read; held and aborted; aborted at the head, so that data comes to a closed stream.
    const answered = ask(client, {
      onHead: (control) => {
        if (at % 4 === 1 || at % 4 === 2) control.pause()
        if (at % 4 === 1) setTimeout(() => control.resume(), 5)
        if (at % 4 === 2) setTimeout(() => control.abort(new Error('enough')), 5)
        if (at % 4 === 3) control.abort(new Error('enough'))
      },
    })
    const { fault } = await answered
    assert.equal(fault?.kind, at % 4 < 2 ? undefined : 'aborted')
  }
  const connection = firstOf(peer)
  const sent = total * 4 * half.length
  const initial = limits.streamWindowBytes * limits.maxInFlight - 65_535
  // All but what is too little to be told.
  await until(() => credit(connection, 0) - initial >= sent - 262_144, 'the credit')
  assert.ok(credit(connection, 0) - initial <= sent)
  assert.equal(peer.connections.length, 1)
})

test('a body waits for the window, and goes out as it opens', async (t) => {
  const { peer, client } = await start(t, {
    greeting: settings([4, 0]),
    onConnection: (connection) => connection.send(windowUpdate(0, 1_000_000)),
    onFrame: (connection, { type, flags, streamId }) => {
      if (type === 0 && (flags & 1) !== 0) connection.send(answer(streamId))
    },
  })
  const body = Buffer.from('0123456789'.repeat(10))
  await ask(client, { headersTimeoutMs: 300, path: '/settle' }).catch(() => {})
  const asked = ask(client, { method: 'POST', body })
  await until(() => firstOf(peer).streams.length === 2, 'the request')
  const connection = firstOf(peer)
  assert.equal(sentBytes(connection, 3), 0)
  for (const size of [1, 2, 30]) {
    const before = sentBytes(connection, 3)
    connection.send(windowUpdate(3, size))
    await until(() => sentBytes(connection, 3) === before + size, `${size} octets`)
  }
  connection.send(settings([4, 50]))
  await until(() => sentBytes(connection, 3) === 83, 'a larger initial window')
  connection.send(settings([4, 0]) + windowUpdate(3, 40)) // a window of -50 + 40
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(sentBytes(connection, 3), 83)
  connection.send(windowUpdate(3, 1_000))
  assert.equal((await asked).status, 200)
  assert.equal(
    Buffer.concat(sentData(connection, 3).map(({ payload }) => payload)).toString(),
    body.toString(),
  )
})

test('a peer that never opens the window runs into the limit, not into memory', async (t) => {
  let read = 0
  const source = new Readable({
    read() {
      read += 16_384
      this.push(Buffer.alloc(16_384))
    },
  })
  const { client } = await start(t, { greeting: settings([4, 0]) })
  const asked = ask(client, { method: 'PUT', body: source, headersTimeoutMs: 400 })
  const { fault } = await asked
  assert.equal(fault?.kind, 'timeout')
  assert.ok(read <= 65_535 + 6 * 16_384, `${read} octets were read`)
  assert.equal(source.destroyed, false)
})

test('bodies take turns', async (t) => {
  const order: number[] = []
  const { client } = await start(t, {
    onFrame: (connection, { type, flags, streamId, payload }) => {
      if (type !== 0) return
      order.push(streamId)
      connection.send(windowUpdate(0, Math.max(1, payload.length)))
      if ((flags & 1) !== 0) connection.send(answer(streamId))
    },
  })
  const body = Buffer.alloc(60_000)
  await Promise.all([1, 2, 3].map(() => ask(client, { method: 'POST', body })))
  assert.deepEqual(order.slice(0, 6), [1, 3, 5, 1, 3, 5])
})
