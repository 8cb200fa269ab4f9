import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { register } from 'prom-client'
import { metrics, type Meter, type MetricName } from '#contract/telemetry'
import { prometheusSink, type PrometheusOptions } from '#plugins/prometheus/sink'
import { parseTextFormat } from './text-format.ts'

const own = (options: PrometheusOptions = {}) =>
  prometheusSink({ processMetrics: false, unknownLabels: 'throw', ...options })
const scrapeOf = async (sink: ReturnType<typeof prometheusSink>) =>
  parseTextFormat((await sink.scrape()).body)
const names = Object.keys(metrics) as MetricName[]

/** One figure into every metric of the table, with a value that may stand there for each label. */
const useAll = (meter: Meter) => {
  for (const name of names) {
    const { kind, labels } = metrics[name]
    const values = Object.entries<readonly string[] | 'configured'>(labels).map(
      ([label, allowed]) => [label, allowed === 'configured' ? 'some-id' : allowed[0]],
    )
    const ask = meter[kind] as (name: string, labels: object) => (value: number) => void
    ask(name, Object.fromEntries(values))(1)
  }
}
const forwarded = (route: string) =>
  ({
    direction: 'ingress',
    route,
    team: 'shop',
    outcome: 'forwarded',
    status_class: '2xx',
  }) as const

suite('figures for Prometheus', () => {
  test('every metric of the table is there, with its help, and takes figures', async () => {
    const sink = own()
    useAll(sink.meter)
    const families = await scrapeOf(sink)
    assert.deepEqual([...families.keys()].sort(), [...names].sort())
    for (const [name, { type, help, lines }] of families) {
      assert.equal(type, metrics[name as MetricName].kind)
      assert.equal(help, metrics[name as MetricName].help)
      assert.ok(
        lines.some(({ value }) => value === 1),
        `${name} has no figure`,
      )
    }
  })

  test('the figures of the process are there, the event loop among them', async () => {
    const families = await scrapeOf(prometheusSink())
    for (const name of [
      'process_cpu_user_seconds_total',
      'process_resident_memory_bytes',
      'nodejs_eventloop_lag_p99_seconds',
      'nodejs_eventloop_utilization_ratio',
    ])
      assert.ok((families.get(name)?.lines.length ?? 0) > 0, name)
  })

  test('counters, gauges and histograms say what they were given', async () => {
    const sink = own()
    const count = sink.meter.counter('sallyport_token_cache_total', { result: 'hit' })
    count()
    count(41)
    sink.meter.gauge('sallyport_open', { direction: 'ingress' })(7)
    sink.meter.gauge('sallyport_open', { direction: 'ingress' })(3)
    const observe = sink.meter.histogram('sallyport_policy_eval_duration_seconds', {})
    for (const seconds of [0.00001, 0.000011, 0.4, 99]) observe(seconds)

    const families = await scrapeOf(sink)
    const valueOf = (name: string, labels: object) =>
      families
        .get(name.replace(/_(bucket|sum|count)$/, ''))
        ?.lines.find(
          (line) => line.name === name && JSON.stringify(line.labels) === JSON.stringify(labels),
        )?.value
    assert.equal(valueOf('sallyport_token_cache_total', { result: 'hit' }), 42)
    assert.equal(valueOf('sallyport_open', { direction: 'ingress' }), 3)
    const evaluations = 'sallyport_policy_eval_duration_seconds'
    for (const [le, count] of [
      ['0.00001', 1],
      ['0.00005', 2],
      ['0.1', 2],
      ['0.5', 3],
      ['5', 3],
      ['+Inf', 4],
    ])
      assert.equal(valueOf(`${evaluations}_bucket`, { le }), count, `up to ${le}`)
    assert.equal(valueOf(`${evaluations}_count`, {}), 4)
    assert.equal(valueOf(`${evaluations}_sum`, {}), 0.00001 + 0.000011 + 0.4 + 99)
  })

  test('what is no number, or would count down, changes nothing', async () => {
    const sink = own()
    const count = sink.meter.counter('sallyport_token_cache_total', { result: 'hit' })
    for (const by of [-1, Number.NaN]) count(by)
    sink.meter.histogram('sallyport_policy_eval_duration_seconds', {})(Number.NaN)
    const families = await scrapeOf(sink)
    for (const name of ['sallyport_token_cache_total', 'sallyport_policy_eval_duration_seconds'])
      assert.ok(
        families.get(name)?.lines.every(({ value }) => value === 0),
        name,
      )
  })

  test('a metric of closed sets begins with every series at 0', async () => {
    const families = await scrapeOf(own())
    const { limit, decision, store } = metrics.sallyport_limit_decisions_total.labels
    assert.equal(
      families.get('sallyport_limit_decisions_total')?.lines.length,
      limit.length * decision.length * store.length,
    )
    assert.equal(families.get('sallyport_requests_total')?.lines.length, 0)
    assert.equal(families.get('sallyport_open')?.lines.length, 0, 'a gauge of 0 would be a claim')
  })

  test('the same labels give the same handle, in whatever order they stand', () => {
    const { counter } = own().meter
    const { direction, ...rest } = forwarded('orders')
    assert.equal(
      counter('sallyport_requests_total', { direction, ...rest }),
      counter('sallyport_requests_total', { ...rest, direction }),
    )
  })

  test('a label value that the table does not know is a bug in a test', () => {
    const { counter } = own().meter
    assert.throws(
      () => counter('sallyport_token_cache_total', { result: 'maybe' as 'hit' }),
      /no result "maybe"/,
    )
    assert.throws(
      () => counter('sallyport_token_cache_total', {} as { result: 'hit' }),
      /no result undefined/,
    )
  })

  test('and elsewhere it counts as another', async () => {
    const sink = own({ unknownLabels: 'count-as-other' })
    for (const result of ['maybe', 'perhaps'])
      sink.meter.counter('sallyport_token_cache_total', { result: result as 'hit' })()
    const lines = (await scrapeOf(sink)).get('sallyport_token_cache_total')?.lines
    assert.deepEqual(
      lines?.map(({ labels, value }) => [labels['result'], value]),
      [
        ['hit', 0],
        ['miss', 0],
        ['__other__', 2],
      ],
    )
  })

  test('ids beyond the bound count together, and nothing is lost', async () => {
    const sink = own({ maxLines: 170, unknownLabels: 'count-as-other' })
    for (let i = 0; i < 1000; i++) {
      sink.meter.counter('sallyport_requests_total', forwarded(`route-${i}`))()
      sink.meter.histogram('sallyport_request_duration_seconds', {
        direction: 'ingress',
        route: `route-${i}`,
      })(1)
    }
    const families = await scrapeOf(sink)
    const lines = families.get('sallyport_requests_total')?.lines ?? []
    assert.equal(lines.length, 171)
    assert.equal(
      lines.reduce((sum, { value }) => sum + value, 0),
      1000,
    )
    assert.equal(
      lines.find(({ labels }) => labels['route'] === '__other__')?.labels['outcome'],
      'forwarded',
    )
    assert.equal(families.get('sallyport_request_duration_seconds')?.lines.length, 11 * 17)
  })

  test('ids of any text are escaped', async () => {
    const sink = own()
    sink.meter.gauge('sallyport_issuer_keys_age_seconds', { issuer: 'a"b\\c\nd' })(1)
    const lines = (await scrapeOf(sink)).get('sallyport_issuer_keys_age_seconds')?.lines
    assert.equal(lines?.[0]?.labels['issuer'], String.raw`a\"b\\c\nd`)
  })

  test('two sinks, and the registry that prom-client shares, know nothing of one another', async () => {
    const [one, two] = [own(), own()]
    one.meter.counter('sallyport_token_cache_total', { result: 'hit' })()
    const lines = (await scrapeOf(two)).get('sallyport_token_cache_total')?.lines
    assert.ok(lines?.every(({ value }) => value === 0))
    assert.deepEqual(register.getMetricsAsArray(), [])
  })

  test('those who ask at the same time get the same answer, and later ones a new one', async () => {
    const sink = own()
    const [one, two] = await Promise.all([sink.scrape(), sink.scrape()])
    assert.equal(one, two)
    assert.equal(one.contentType, 'text/plain; version=0.0.4; charset=utf-8')
    assert.notEqual(await sink.scrape(), one)
  })
})

suite('the check of the text format', () => {
  const good = '# HELP a_total A.\n# TYPE a_total counter\na_total{x="1"} 1\n'
  test('takes what is right', () => assert.equal(parseTextFormat(good).size, 1))

  for (const [fault, text] of [
    ['no end', good.trimEnd()],
    ['a series twice', `${good}a_total{x="1"} 2\n`],
    ['a stranger', `${good}b 1\n`],
    ['no number', good.replace('} 1', '} one')],
    ['a quote in a label', good.replace('"1"', '"1"2"')],
    ['a label twice', good.replace('x="1"', 'x="1",x="2"')],
    ['no type', 'a 1\n'],
    ['a counter that is not named so', good.replaceAll('a_total', 'a')],
    [
      'a histogram that does not add up',
      '# HELP h H.\n# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n',
    ],
  ] as const)
    test(`finds ${fault}`, () => assert.throws(() => parseTextFormat(text), assert.AssertionError))
})
