import assert from 'node:assert/strict'
import { test } from 'node:test'
import { prometheusSink } from '#plugins/prometheus/sink'
import { workersFigures } from '#plugins/prometheus/workers'

const sink = () => prometheusSink({ processMetrics: false, unknownLabels: 'throw' })
const role = { role: 'ingress' } as const

test('counters and histograms of workers are added up, gauges by their rule, and what a dead one counted stays', async () => {
  const [primary, one, two] = [sink(), sink(), sink()]
  const all = workersFigures(primary)
  for (const [worker, count] of [
    [one, 3],
    [two, 4],
  ] as const) {
    worker.meter.counter('sallyport_token_cache_total', { result: 'hit' })(count)
    worker.meter.histogram('sallyport_policy_eval_duration_seconds', {})(0.002 * count)
    worker.meter.gauge('sallyport_open', { direction: 'ingress' })(count)
    worker.meter.gauge('sallyport_certificate_not_after_timestamp_seconds', role)(100 * count)
  }
  primary.meter.counter('sallyport_config_reloads_total', { result: 'ok' })()
  const figures = async () =>
    new Map([
      [1, await one.figures()],
      [2, await two.figures()],
    ])
  const { body } = await all.scrape(await figures())
  assert.match(body, /^sallyport_token_cache_total\{result="hit"\} 7$/m)
  assert.match(body, /^sallyport_policy_eval_duration_seconds_count 2$/m)
  assert.match(body, /^sallyport_policy_eval_duration_seconds_bucket\{le="0.01"\} 2$/m)
  assert.match(body, /^sallyport_open\{direction="ingress"\} 7$/m)
  assert.match(body, /not_after_timestamp_seconds\{role="ingress"\} 300$/m)
  assert.match(body, /^sallyport_config_reloads_total\{result="ok"\} 1$/m)

  await all.departed(1)
  const fresh = sink()
  fresh.meter.counter('sallyport_token_cache_total', { result: 'hit' })(1)
  const after = await all.scrape(
    new Map([
      [2, await two.figures()],
      [3, await fresh.figures()],
    ]),
  )
  assert.match(after.body, /^sallyport_token_cache_total\{result="hit"\} 8$/m)
  assert.match(after.body, /^sallyport_open\{direction="ingress"\} 4$/m)
})
