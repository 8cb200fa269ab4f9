import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { after, suite, test } from 'node:test'
import { stringify } from 'yaml'
import { findTool, without } from '#test/tools'
import { askAt, eventually, freePorts, meshRig, openRoute, tokenRoute } from './rig.ts'

const otelcol = findTool('otelcol-test')
const theirs = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' }
const traceparent = `00-${theirs.traceId}-${theirs.spanId}-01`

type Value = { stringValue?: string; intValue?: string; boolValue?: boolean; doubleValue?: number }
type Span = {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes: { key: string; value: Value }[]
  events?: { name: string; timeUnixNano: string }[]
  links?: { traceId: string; spanId: string }[]
  status: { code?: number }
}

/** A real collector that writes what it receives to a file. */
const startCollector = async (command: string, at: (name: string) => string, save: Save) => {
  const [port = 0] = await freePorts(1)
  const out = at('spans.jsonl')
  const config = save(
    'collector.yaml',
    stringify({
      receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
      exporters: { file: { path: out, flush_interval: '50ms' } },
      service: {
        telemetry: { metrics: { level: 'none' } },
        pipelines: { traces: { receivers: ['otlp'], exporters: ['file'] } },
      },
    }),
  )
  const process = spawn(command, ['--config', config], { stdio: 'ignore' })
  const endpoint = `http://127.0.0.1:${port}/v1/traces`
  await eventually(
    () =>
      fetch(endpoint).then(
        () => true,
        () => undefined,
      ),
    20_000,
  )
  const text = () => (existsSync(out) ? readFileSync(out, 'utf8') : '')
  return {
    endpoint,
    text,
    spans: (): readonly Span[] =>
      text()
        .split('\n')
        .filter((line) => line.endsWith('}'))
        .flatMap((line) => {
          const { resourceSpans } = JSON.parse(line) as {
            resourceSpans: { scopeSpans: { spans: Span[] }[] }[]
          }
          return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
        }),
    stop: async () => {
      process.kill()
      if (process.exitCode === null) await once(process, 'exit')
    },
  }
}
type Save = (name: string, text: string) => string

const attributesOf = ({ attributes }: Span): Readonly<Record<string, string | boolean | number>> =>
  Object.fromEntries(
    attributes.map(({ key, value }) => [key, Object.values(value)[0] as string | boolean | number]),
  )

suite('a collector receives', without({ 'otelcol-test': otelcol }), async () => {
  if (otelcol === undefined) return
  const rig = await meshRig()
  after(rig.close)
  const collector = await startCollector(otelcol, rig.at, rig.save)
  after(collector.stop)
  let seen: IncomingHttpHeaders = {}
  const service = await rig.service((req, res) => {
    seen = req.headers
    res.end('yes')
  })
  const exchange = await rig.exchange()
  const gatewayWith = (name: string, tracing: object) =>
    rig.gateway(name, {
      exchangePort: exchange.exchange.port,
      upstreams: { service: { endpoints: [service.url], spiffeId: 'spiffe://mesh.test/service' } },
      routes: [openRoute('open', '/open'), tokenRoute('mine', '/mine')],
      tracing: { endpoint: collector.endpoint, ...tracing },
    })
  const all = await gatewayWith('all', { sampleRatio: 1, continueIssuers: ['outside'] })
  const none = await gatewayWith('none', { sampleRatio: 0 })
  const ask = (gateway: typeof all, path: string, headers: Record<string, string> = {}) =>
    askAt(gateway.port, gateway.ca, path, { headers: { traceparent, ...headers } })
  const spanOf = (headers: IncomingHttpHeaders): Promise<Span> =>
    eventually(() =>
      collector
        .spans()
        .find((span) => attributesOf(span)['sallyport.decision.id'] === decisionIn(headers)),
    )
  const decisionIn = (headers: IncomingHttpHeaders) => headers['x-sallyport-decision-id']
  const eventsOf = ({ events = [] }: Span) => events.map(({ name }) => name)

  test('one server span for a request, in a trace of its own that has a link to the one of a stranger', async () => {
    const { status, headers } = await ask(all, '/open/1?secret=in-the-query', {
      tracestate: 'a=1',
      baggage: 'who=me',
    })
    assert.equal(status, 200)
    const span = await spanOf(headers)
    assert.equal(span.traceId, decisionIn(headers))
    assert.deepEqual(
      span.links?.map(({ traceId, spanId }) => ({ traceId, spanId })),
      [theirs],
    )
    assert.ok(!span.parentSpanId)
    assert.equal(span.kind, 2)
    assert.equal(span.name, 'GET /open')
    assert.deepEqual(
      [seen['traceparent'], seen['tracestate'], seen['baggage']],
      [`00-${span.traceId}-${span.spanId}-01`, undefined, undefined],
    )
    const events = eventsOf(span)
    const steps = ['audit', 'head', 'route', 'endpoint', 'forward']
    assert.deepEqual(
      events.filter((name) => steps.includes(name)),
      steps,
    )
    const times = (span.events ?? []).map(({ timeUnixNano }) => BigInt(timeUnixNano))
    for (const [i, time] of times.entries()) {
      assert.ok(time >= (times[i - 1] ?? BigInt(span.startTimeUnixNano)))
      assert.ok(time <= BigInt(span.endTimeUnixNano) + 1_000_000n)
    }
    const attributes = attributesOf(span)
    assert.equal(attributes['http.route'], '/open')
    assert.equal(attributes['url.path'], '/open/1')
    assert.equal(String(attributes['http.response.status_code']), '200')
    assert.equal(attributes['tls.protocol.version'], '1.3')
  })

  test('the trace of a caller that is trusted with it, continued, with who it is and never its token', async () => {
    const token = rig.token()
    const { status, headers } = await ask(all, '/mine/1', {
      authorization: `Bearer ${token}`,
      tracestate: 'a=1',
    })
    assert.equal(status, 200)
    const span = await spanOf(headers)
    assert.equal(span.traceId, theirs.traceId)
    assert.equal(span.parentSpanId, theirs.spanId)
    assert.deepEqual(span.links ?? [], [])
    assert.equal(seen['traceparent'], `00-${theirs.traceId}-${span.spanId}-01`)
    assert.equal(seen['tracestate'], 'a=1')
    const attributes = attributesOf(span)
    assert.equal(attributes['sallyport.subject.spiffe_id'], 'spiffe://mesh.test/people/alice')
    assert.equal(attributes['sallyport.token.issuer'], 'outside')
    assert.equal(attributes['sallyport.policy.allow'], true)
    assert.match(String(attributes['user.hash']), /^[\w-]{22}$/)
    const minted = String(seen['authorization']).slice('Bearer '.length)
    for (const part of [...token.split('.'), ...minted.split('.')]) {
      assert.ok(part.length > 20)
      assert.ok(!collector.text().includes(part))
    }
    assert.ok(!collector.text().includes('in-the-query'))
  })

  test('each denial, though no share of the traces is taken, and nothing of what went well', async () => {
    const fine = await ask(none, '/open/fine')
    assert.equal(fine.status, 200)
    assert.match(String(seen['traceparent']), /-00$/)
    const denied = await ask(none, '/mine/1', { authorization: 'Bearer nonsense' })
    assert.equal(denied.status, 401)
    const span = await spanOf(denied.headers)
    const attributes = attributesOf(span)
    assert.equal(attributes['error.type'], 'token-malformed')
    assert.equal(attributes['sallyport.step'], 'caller')
    assert.equal(span.status.code ?? 0, 0, 'what a caller did wrong is no error of the server')
    assert.equal(eventsOf(span).at(-1), 'caller')
    await none.close()
    const ids = collector.spans().map((each) => attributesOf(each)['sallyport.decision.id'])
    assert.ok(ids.includes(String(decisionIn(denied.headers))))
    assert.ok(!ids.includes(String(decisionIn(fine.headers))))
  })

  test('as many spans as the metrics say', async () => {
    const exported = async () =>
      Number(/^sallyport_spans_total\{result="exported"\} (\d+)$/m.exec(await all.metrics())?.[1])
    assert.equal(await exported(), 2)
    assert.equal(collector.spans().length, 3) // and the one of the other gateway
  })
})
