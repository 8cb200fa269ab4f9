import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { h2Client } from '#http/h2-client/h2-client'
import { ask, clientOf, until } from './ask.ts'
import { answer, scriptedPeer } from './scripted-peer.ts'

test('all requests of one turn of the event loop leave in one write', async () => {
  const writes: number[] = []
  const socket = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _, done) => {
      writes.push(chunk.length)
      done()
    },
  })
  const client = h2Client({ connect: async () => ({ ok: true, socket }) })
  const asked = Array.from({ length: 50 }, () => ask(client))
  await until(() => writes.length > 0, 'a write')
  assert.equal(writes.length, 1, 'the preface and fifty requests')
  client.destroy(new Error('the test is over'))
  for (const { fault } of await Promise.all(asked)) assert.equal(fault?.kind, 'broken')
})

test('answers that arrive in one read, in any order, reach who asked', async (t) => {
  const count = 100
  const peer = await scriptedPeer({
    onRequest: (connection, id) => {
      if (connection.streams.length < count) return
      const mixed = connection.streams.toSorted((a, b) => ((a * 7_919) % 101) - ((b * 7_919) % 101))
      connection.send(mixed.map((stream) => answer(stream)).join(''))
      assert.equal(id, 2 * count - 1)
    },
  })
  t.after(peer.close)
  const client = clientOf(peer.port)
  const answers = await Promise.all(Array.from({ length: count }, () => ask(client)))
  for (const [at, { body, headers }] of answers.entries()) {
    assert.equal(body, `answer ${2 * at + 1}`)
    assert.deepEqual(headers, ['x-stream', String(2 * at + 1)])
  }
  await client.close()
})

test('frames cut into single octets are put together again, with and without onread', async (t) => {
  const peer = await scriptedPeer({
    onRequest: (connection, id) => {
      for (const octet of answer(id, 'slowly')) {
        connection.socket.cork()
        connection.send(octet)
        connection.socket.uncork()
      }
    },
  })
  t.after(peer.close)
  for (const by of ['onread', 'data'] as const) {
    const client = clientOf(peer.port, {}, by)
    assert.equal((await ask(client)).body, 'slowly')
    await client.close()
  }
})
