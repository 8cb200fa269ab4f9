import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FinishedSpan } from '#contract/tracing'
import type { Meter } from '#contract/telemetry'
import { noLog } from '#contract/telemetry'
import { perSecond } from '#plugins/tracing/budget'
import { tracingSink } from '#plugins/tracing/sink'

const span: FinishedSpan = {
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  spanId: '00f067aa0ba902b7',
  name: 'GET /a',
  startMs: 1_700_000_000_000,
  durationMs: 5,
  attributes: { 'http.request.method': 'GET' },
  events: [{ name: 'route', afterMs: 1 }],
  isError: false,
}

/** A collector as it should not be, or one that only counts. */
const collector = async (listener: RequestListener) => {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  after(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`
}

const sinkTo = (endpoint: string, more: object = {}) => {
  const counts: Record<string, number> = {}
  const counter = (name: string, labels: object) => {
    const key = name === 'sallyport_spans_total' ? (labels as { result: string }).result : name
    return (by = 1) => (counts[key] = (counts[key] ?? 0) + by)
  }
  const sink = tracingSink(
    {
      endpoint,
      serviceName: 'test',
      sampleRatio: 1,
      maxSampledPerSecond: 1000,
      maxKeptPerSecond: 1000,
      slowMs: 100,
      maxQueuedSpans: 512,
      continueIssuers: [],
      ...more,
    },
    {
      meter: { counter } as unknown as Meter,
      log: noLog,
      instance: 'one',
      uptimeMs: () => performance.now(),
    },
  )
  return { sink, counts }
}

suite('spans on their way to a collector', () => {
  test('are held in a queue of bounded length while it hangs; those beyond are counted, and nobody waits', async () => {
    const { sink, counts } = sinkTo(await collector(() => {}))
    const began = performance.now()
    for (let i = 0; i < 5000; i += 1) sink.end(span)
    const tookMs = performance.now() - began
    assert.equal(counts['dropped-queue-full'], 5000 - 512)
    assert.ok(tookMs < 1000, `${tookMs} ms`)
    const closing = performance.now()
    await sink.close()
    assert.ok(performance.now() - closing < 4000)
    assert.equal(counts['failed'], 512)
  })

  test('are counted as failed when it refuses, and the queue has room again', async () => {
    const { sink, counts } = sinkTo(
      await collector((req, res) => {
        req.resume()
        res.writeHead(400).end()
      }),
    )
    for (let round = 0; round < 2; round += 1) {
      for (let i = 0; i < 512; i += 1) sink.end(span)
      for (let waited = 0; waited < 200 && counts['failed'] !== 512 * (round + 1); waited += 1)
        await sleep(25)
    }
    assert.deepEqual(counts, { failed: 1024 })
    await sink.close()
  })

  test('that are left go out at the end', async () => {
    let bytes = 0
    const { sink, counts } = sinkTo(
      await collector((req, res) => {
        req.on('data', (chunk: Buffer) => (bytes += chunk.length))
        req.on('end', () => res.writeHead(200).end())
      }),
    )
    for (let i = 0; i < 10; i += 1) sink.end(span)
    await sink.close()
    assert.deepEqual(counts, { exported: 10 })
    assert.ok(bytes > 500)
  })
})

suite('the share of traces that is taken', () => {
  test('is as large as was said, and the same trace is always one of it or never', async () => {
    const endpoint = await collector(() => {})
    const { sink } = sinkTo(endpoint, { sampleRatio: 0.25, maxSampledPerSecond: 1_000_000 })
    let taken = 0
    for (let i = 0; i < 4096; i += 1) {
      const traceId = (i * 16).toString(16).padStart(4, '0').padEnd(14, '0').padStart(32, 'a')
      if (sink.sample(traceId)) taken += 1
      assert.equal(sink.sample(traceId), i < 1024)
    }
    assert.equal(taken, 1024)
    await sink.close()
  })

  test('is bounded in a second, whatever its ratio, and so is what is kept besides', async () => {
    const { sink, counts } = sinkTo(await collector(() => {}), {
      maxSampledPerSecond: 1,
      maxKeptPerSecond: 1,
    })
    const sampled = Array.from({ length: 50 }, () => sink.sample(span.traceId))
    const kept = Array.from({ length: 50 }, () => sink.keep())
    assert.ok(sampled.filter(Boolean).length <= 2)
    assert.ok(kept.filter(Boolean).length <= 2)
    assert.ok((counts['dropped-rate'] ?? 0) >= 48)
    await sink.close()
  })

  test('comes back with time', () => {
    let nowMs = 0
    const may = perSecond(2, () => nowMs)
    assert.deepEqual([may(), may(), may()], [true, true, false])
    nowMs = 500
    assert.deepEqual([may(), may()], [true, false])
    nowMs = 60_000
    assert.deepEqual([may(), may(), may()], [true, true, false])
  })
})
