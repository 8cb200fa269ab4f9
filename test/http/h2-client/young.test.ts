import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { getHeapStatistics } from 'node:v8'
import { flag, frameType } from '#http/h2-client/protocol'
import { collectYoung } from '../../collect-garbage.ts'
import { ask, clientOf } from './ask.ts'
import { answer, scriptedPeer } from './scripted-peer.ts'

const usedBytes = (): number => {
  collectYoung()
  collectYoung()
  return getHeapStatistics().used_heap_size
}

test('what a request with a streamed body held goes with the next collection of what is young', async (t) => {
  const count = 200
  const heldPerRequest = 10_000
  const peer = await scriptedPeer({
    onFrame: (connection, { type, flags, streamId }) => {
      if (type === frameType.data && (flags & flag.endStream) !== 0)
        connection.send(answer(streamId))
    },
  })
  t.after(peer.close)
  const client = clientOf(peer.port)
  t.after(() => client.destroy(new Error('the test is over')))
  const send = async () => {
    const held = Array.from({ length: heldPerRequest }, (_, at) => at)
    const body = new Readable({ read: () => {} })
    const answered = ask(client, { method: 'POST', body, onHead: () => void held.length })
    body.push('a body')
    body.push(null)
    assert.equal((await answered).status, 200)
  }
  await send()
  const before = usedBytes()
  for (let sent = 0; sent < count; sent++) await send()
  await sleep(0)
  const grown = usedBytes() - before
  const held = count * heldPerRequest * 8
  assert.ok(grown < held / 4, `${grown} octets are left of the ${held} that requests held`)
})
