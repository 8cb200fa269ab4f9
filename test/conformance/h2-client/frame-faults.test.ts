import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, clientOf, until } from '../../http/h2-client/ask.ts'
import {
  answer,
  data,
  scriptedPeer,
  status200,
  uint32,
} from '../../http/h2-client/scripted-peer.ts'
import { frameFaults } from './faults/section-4.ts'
import { streamFaults } from './faults/section-5.ts'
import { frameTypeFaults } from './faults/section-6.ts'
import { messageFaults } from './faults/section-8.ts'

const faults = [...frameFaults, ...streamFaults, ...frameTypeFaults, ...messageFaults]

test('there are faults to try', () => assert.ok(faults.length > 130, String(faults.length)))

for (const [section, name, send, costs, expected] of faults)
  test(`RFC 9113 §${section}: ${name} costs ${costs === 'none' ? 'nothing' : `its ${costs}`}`, async (t) => {
    const peer = await scriptedPeer({
      onRequest: (connection, id, number) => {
        if (number > 1 || id > 3) connection.send(answer(id))
        if (number > 1 || id !== 3) return
        const sent = send(1, 3)
        connection.send(sent)
        if (costs === 'none' && !hasEnded(sent)) connection.send(endOf(sent))
        connection.send(answer(3))
      },
    })
    const client = clientOf(peer.port, { firstBackoffMs: 1 })
    t.after(async () => {
      client.destroy(new Error('the test is over'))
      await peer.close()
    })

    const [a, b] = await Promise.all([ask(client), ask(client)])
    const first = peer.connections[0]
    assert.ok(first)
    assert.deepEqual(first.streams.slice(0, 2), [1, 3])
    if (costs === 'none') {
      assert.equal(a.fault, undefined)
      assert.equal(a.status, 200)
      assert.equal(b.body, 'answer 3')
      assert.equal(first.resets.size, 0)
      return
    }
    // A fault after the end of an answer cannot take it back.
    if (!send(1, 3).startsWith(answer(1))) {
      assert.equal(a.fault?.kind, 'broken')
      assert.equal(a.fault?.unsent, false)
    }
    if (costs === 'stream') {
      assert.equal(b.fault, undefined)
      assert.equal(b.body, 'answer 3')
      if (expected !== undefined) {
        await until(() => first.resets.has(1), 'RST_STREAM')
        assert.equal(first.resets.get(1), expected)
      }
      assert.equal(first.goaway, undefined)
      assert.equal(peer.connections.length, 1)
    } else {
      assert.equal(b.fault?.kind, 'broken')
      await until(() => first.closed, 'the end of the connection')
      assert.equal(first.goaway, expected)
    }
    const next = await ask(client)
    assert.equal(next.fault, undefined)
    assert.match(next.body, /^answer /)
  })

/** Whether what was sent ends stream 1. */
const hasEnded = (sent: string): boolean => {
  for (let at = 0; at + 9 <= sent.length;) {
    const octet = (offset: number) => sent.charCodeAt(at + offset)
    const isOurs = (octet(5) & 0x7f) + octet(6) + octet(7) === 0 && octet(8) === 1
    if (isOurs && octet(3) <= 1 && (octet(4) & 1) !== 0) return true
    at += 9 + ((octet(0) << 16) | (octet(1) << 8) | octet(2))
  }
  return false
}

/** What is missing for stream 1 to end well. */
const endOf = (sent: string): string =>
  sent.includes(`${uint32(1)}${status200}`) ? data(1, 'end') : answer(1)
