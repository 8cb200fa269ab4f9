import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CallerRequest, CallerResponse } from '#http/caller'
import { places } from '#contract/places'
import { collectGarbage } from '../../collect-garbage.ts'
import { askH2, h2Client, h2Edge } from './h2-edge.ts'

test('a stream that Node still knows keeps neither its request nor the answer', async () => {
  const streams: unknown[] = []
  const keep = (message: unknown) => streams.push(message)
  subscribe('http2.server.stream.created', keep)
  const served: WeakRef<CallerRequest | CallerResponse>[] = []
  const edge = await h2Edge((req, res) => {
    served.push(new WeakRef(req), new WeakRef(res))
    req.on('data', () => {}).on('end', () => void res.writeHead(200, []).end('answer'))
  })
  const client = h2Client(edge.port)
  try {
    for (const body of [undefined, 'body', 'x'.repeat(100_000)])
      assert.equal((await askH2(client, { ':method': 'POST' }, body)).text, 'answer')
    const kept = () => served.filter((one) => one.deref() !== undefined).length
    for (let i = 0; i < 100 && kept() > 0; i++) {
      await sleep(10) // the last stream closes here later than there
      collectGarbage()
    }
    assert.equal(kept(), 0)
    assert.equal(served.length, 6)
    assert.equal(streams.length, 3)
  } finally {
    unsubscribe('http2.server.stream.created', keep)
    client.destroy()
    await edge.listener.close(0)
  }
})

test('places that were left are taken again', () => {
  const open = places<string>()
  const [a, b, c] = ['a', 'b', 'c'].map(open.take)
  assert.equal(open.count(), 3)
  open.leave(b ?? -1)
  assert.deepEqual(open.all(), ['a', 'c'])
  assert.equal(open.take('d'), b)
  assert.deepEqual(open.all(), ['a', 'd', 'c'])
  for (const place of [a, b, c]) open.leave(place ?? -1)
  assert.equal(open.count(), 0)
  assert.deepEqual(open.all(), [])
})
