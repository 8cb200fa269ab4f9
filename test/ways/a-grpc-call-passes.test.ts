import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { after, suite, test } from 'node:test'
import {
  Metadata,
  status,
  type CallOptions,
  type ClientDuplexStream,
  type ServiceError,
  type StatusObject,
} from '@grpc/grpc-js'
import { echoService, grpcClient, startGrpcServer } from '#test/fakes/grpc-echo'
import { eventually, ids, meshRig, openRoute, tokenRoute } from './rig.ts'

const rig = await meshRig()
after(rig.close)

const seen: { readonly path: string; readonly metadata: Metadata }[] = []
const cancelled: string[] = []
const note = (call: {
  getPath: () => string
  metadata: Metadata
  on: (of: 'cancelled', then: () => void) => unknown
}) => {
  seen.push({ path: call.getPath(), metadata: call.metadata })
  const what = String(call.metadata.get('what')[0])
  call.on('cancelled', () => cancelled.push(what))
  return what
}

const server = await startGrpcServer(
  { ...(await rig.svidOf(ids.service)), roots: readFileSync(rig.svidFiles.bundleFile, 'utf8') },
  {
    unary: (call, done) => {
      const what = note(call)
      if (what === 'hang' || what === 'late') return
      if (what === 'missing') {
        const metadata = new Metadata()
        metadata.set('why-bin', Buffer.from([0, 255, 1]))
        return done({ code: status.NOT_FOUND, details: 'kein Buch „ä“ 100 %', metadata })
      }
      const head = new Metadata()
      head.set('x-head', 'first')
      call.sendMetadata(head)
      const trailer = new Metadata()
      trailer.add('x-sum', '1')
      trailer.add('x-sum', '2')
      trailer.set('x-sum-bin', Buffer.from([0, 128, 255]))
      done(null, call.request, trailer)
    },
    down: (call) => {
      note(call)
      let sent = 0
      const more = () => {
        while (sent < 400) {
          sent += 1
          if (!call.write(Buffer.alloc(16_384, sent & 255))) return void call.once('drain', more)
        }
        call.end()
      }
      more()
    },
    up: (call, done) => {
      note(call)
      let bytes = 0
      call.on('data', (message: Buffer) => (bytes += message.length))
      call.on('end', () => done(null, Buffer.from(String(bytes))))
    },
    both: (call) => {
      const what = note(call)
      call.on('error', () => {})
      if (what === 'first') call.write(Buffer.from('welcome'))
      call.on('data', (message: Buffer) => call.write(Buffer.from(`${message.toString()} back`)))
      call.on('end', () => call.end())
    },
  },
)
after(server.stop)

const plain = await rig.service((_req, res) => res.end('HTTP/1.1'))
const exchange = await rig.exchange()
const upstream = (url: string, more: object = {}) => ({
  endpoints: [url],
  spiffeId: ids.service,
  connectTimeoutMs: 20_000,
  ...more,
})
const gateway = await rig.gateway('gateway', {
  exchangePort: exchange.exchange.port,
  exchangeTimeoutMs: 10_000,
  upstreams: {
    service: upstream(`https://127.0.0.1:${server.port}`),
    old: upstream(plain.url, { protocol: 'http1' }),
    older: upstream(plain.url),
  },
  waf: { mode: 'enforce' },
  listeners: { ingress: { limits: { requestTimeoutMs: 1000, headersTimeoutMs: 1000 } } },
  routes: [
    tokenRoute('echo', '/test.Echo', { grpc: { idleTimeoutMs: 3000 }, totalTimeoutMs: 0 }),
    tokenRoute('unary', '/test.Echo/unary', {
      limits: { caller: { points: 5, windowSeconds: 60 } },
    }),
    openRoute('old', '/old', { upstream: 'old' }),
    openRoute('older', '/older', { upstream: 'older' }),
    tokenRoute('denied', '/denied', { policy: { requires: { roles: { any: ['nobody'] } } } }),
  ],
})
const client = grpcClient(gateway.port, gateway.ca)
after(() => client.close())

const asIs = (bytes: Buffer): Buffer => bytes
const said = (what: string, sub?: string): Metadata => {
  const metadata = new Metadata()
  metadata.set('what', what)
  if (sub !== undefined) metadata.set('authorization', `Bearer ${rig.token({ sub })}`)
  return metadata
}
type Answer = {
  readonly error: ServiceError | null
  readonly message: string | undefined
  readonly head: Metadata | undefined
  readonly status: StatusObject
}
const unary = (
  metadata: Metadata,
  options: CallOptions = {},
  path: string = echoService.unary.path,
): Promise<Answer> =>
  new Promise((resolve) => {
    let head: Metadata | undefined
    let result: Pick<Answer, 'error' | 'message'> | undefined
    const call = client.makeUnaryRequest<Buffer, Buffer>(
      path,
      asIs,
      asIs,
      Buffer.from('hello'),
      metadata,
      options,
      (error, value) => {
        result = { error, message: value?.toString() }
      },
    )
    call.on('metadata', (given) => (head = given))
    call.on('status', (ended) =>
      setImmediate(() =>
        resolve({ error: null, message: undefined, ...result, head, status: ended }),
      ),
    )
  })
const both = (metadata: Metadata) =>
  client.makeBidiStreamRequest<Buffer, Buffer>(echoService.both.path, asIs, asIs, metadata)
/** How a call ends. */
const endOf = (call: ClientDuplexStream<Buffer, Buffer>): Promise<StatusObject> =>
  new Promise((resolve) => {
    call.on('error', () => {})
    call.on('status', resolve)
  })
const recordOf = (problem: string) => gateway.record((event) => event.problem === problem)

suite('a call', () => {
  test('has its message, its metadata both ways, and its trailers', async () => {
    const { error, message, head, status: ended } = await unary(said('plain', 'ann'))
    assert.equal(error, null)
    assert.equal(message, 'hello')
    assert.deepEqual(head?.get('x-head'), ['first'])
    assert.equal(head?.get('x-sallyport-decision-id').length, 1)
    assert.deepEqual(ended.metadata.get('x-sum'), ['1, 2'])
    assert.deepEqual(ended.metadata.get('x-sum-bin'), [Buffer.from([0, 128, 255])])
    const asked = seen.at(-1)?.metadata
    assert.match(String(asked?.get('authorization')[0]), /^Bearer ey/)
    assert.notEqual(asked?.get('authorization')[0], said('plain', 'ann').get('authorization')[0])
    const record = await gateway.record(({ request }) => request?.path === echoService.unary.path)
    assert.deepEqual(
      [
        record.outcome,
        record.status,
        record.grpcStatus,
        record.spiffeId,
        record.bytesIn,
        record.bytesOut,
      ],
      ['forwarded', 200, 0, 'spiffe://mesh.test/people/ann', 10, 10],
    )
  })

  test('that the service refuses without a message says so in its head', async () => {
    const { error, status: ended } = await unary(said('missing', 'ann'))
    assert.equal(error?.code, status.NOT_FOUND)
    assert.equal(ended.details, 'kein Buch „ä“ 100 %')
    assert.deepEqual(ended.metadata.get('why-bin'), [Buffer.from([0, 255, 1])])
    const record = await gateway.record(({ grpcStatus }) => grpcStatus === status.NOT_FOUND)
    assert.deepEqual([record.outcome, record.status, record.bytesOut], ['forwarded', 200, 0])
  })

  test('streams down, however slowly it is read', async () => {
    const call = client.makeServerStreamRequest<Buffer, Buffer>(
      echoService.down.path,
      asIs,
      asIs,
      Buffer.from('go'),
      said('down', 'ann'),
    )
    let bytes = 0
    for await (const message of call) {
      bytes += (message as Buffer).length
      if (bytes % (16_384 * 50) === 0) await new Promise((resolve) => setTimeout(resolve, 20))
    }
    assert.equal(bytes, 400 * 16_384)
  })

  test('streams up', async () => {
    const answered = new Promise<string>((resolve, reject) => {
      const call = client.makeClientStreamRequest<Buffer, Buffer>(
        echoService.up.path,
        asIs,
        asIs,
        said('up', 'ann'),
        (error, value) => (error ? reject(error) : resolve(String(value))),
      )
      for (let i = 0; i < 100; i += 1) call.write(Buffer.alloc(16_384))
      call.end()
    })
    assert.equal(await answered, String(100 * 16_384))
  })

  test('streams both ways, message by message, longer than a request may take to arrive', async () => {
    const call = both(said('both', 'ann'))
    const ended = endOf(call)
    const untilMs = performance.now() + 1500
    let rounds = 0
    for (; performance.now() < untilMs; rounds += 1) {
      call.write(Buffer.from(`message ${rounds}`))
      assert.equal(String((await once(call, 'data'))[0]), `message ${rounds} back`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    call.end()
    call.resume()
    assert.equal((await ended).code, status.OK)
    assert.ok(rounds > 1)
  })

  test('may have its first word from the service, with the firewall on', async () => {
    const call = both(said('first', 'ann'))
    const ended = endOf(call)
    assert.equal(String((await once(call, 'data'))[0]), 'welcome')
    call.end()
    call.resume()
    assert.equal((await ended).code, status.OK)
  })
})

suite('a call ends early', () => {
  test('when its caller cancels: at the service, too', async () => {
    const call = both(said('cancel', 'ann'))
    const ended = endOf(call)
    call.write(Buffer.from('one'))
    await once(call, 'data')
    call.cancel()
    assert.equal((await ended).code, status.CANCELLED)
    await eventually(() => cancelled.includes('cancel') || undefined)
    const record = await recordOf('caller-gone')
    assert.deepEqual([record.outcome, record.route?.id], ['failed', 'echo'])
  })

  test('when its deadline is over: at the service, too', async () => {
    const { error } = await unary(said('hang', 'ann'), { deadline: Date.now() + 500 })
    assert.equal(error?.code, status.DEADLINE_EXCEEDED)
    await eventually(() => cancelled.includes('hang') || undefined)
    const asked = seen.find(({ metadata }) => metadata.get('what')[0] === 'hang')
    assert.ok(asked)
  })

  test('when nothing was sent either way for as long as the route says', async () => {
    const call = both(said('idle', 'ann'))
    const ended = endOf(call)
    call.write(Buffer.from('one'))
    await once(call, 'data')
    const { code, metadata } = await ended
    assert.equal(code, status.UNKNOWN)
    assert.deepEqual(metadata.get('x-sallyport-problem'), ['connection-idle'])
    assert.equal((await recordOf('connection-idle')).grpcStatus, status.UNKNOWN)
  })

  test('when its caller is cut off, and it is told why', async () => {
    const call = both(said('both', 'eve'))
    const ended = endOf(call)
    call.write(Buffer.from('one'))
    await once(call, 'data')
    const ordered = await fetch(`http://127.0.0.1:${gateway.admin.port}/quarantine`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        by: { kind: 'subject', subject: 'eve', issuer: 'outside' },
        reason: 'test',
        actor: 'tester',
      }),
    })
    assert.equal(ordered.status, 201)
    const { code, details, metadata } = await ended
    assert.deepEqual(
      [code, details, metadata.get('x-sallyport-problem')],
      [status.PERMISSION_DENIED, 'This caller is cut off.', ['quarantined']],
    )
    const record = await recordOf('quarantined')
    assert.deepEqual([record.outcome, record.grpcStatus], ['refused', status.PERMISSION_DENIED])
  })
})

suite('a refusal is a status of gRPC, its tag beside it, and recorded as any other', () => {
  for (const [what, problem, code, http, metadata, path] of [
    ['without a token', 'token-missing', status.UNAUTHENTICATED, 401, () => said('x'), undefined],
    [
      'that the policy denies',
      'policy-denied',
      status.PERMISSION_DENIED,
      403,
      () => said('x', 'ann'),
      '/denied/x',
    ],
    ['to nothing', 'route-unknown', status.UNIMPLEMENTED, 404, () => said('x'), '/nothing/there'],
    ['by a path that is none', 'path-invalid', status.INTERNAL, 400, () => said('x'), '/a/../b'],
    [
      'to a service that is spoken to in HTTP/1.1',
      'upstream-without-http2',
      status.UNAVAILABLE,
      502,
      () => said('x'),
      '/old/x',
    ],
    [
      'to a service that chooses HTTP/1.1',
      'upstream-without-http2',
      status.UNAVAILABLE,
      502,
      () => said('x'),
      '/older/x',
    ],
  ] as const)
    test(`a call ${what}`, async () => {
      const before = gateway.records().length
      const { error, status: ended } = await unary(metadata(), {}, path)
      assert.equal(error?.code, code)
      assert.deepEqual(ended.metadata.get('x-sallyport-problem'), [problem])
      assert.equal(ended.metadata.get('x-sallyport-decision-id').length, 1)
      assert.ok(ended.details.length > 5 && !ended.details.includes('RST'), ended.details)
      const record = await eventually(() => gateway.records()[before])
      assert.deepEqual([record.problem, record.status, record.grpcStatus], [problem, http, code])
      assert.equal(record.decisionId, ended.metadata.get('x-sallyport-decision-id')[0])
    })

  test('a call beyond a limit, which counts calls as it counts requests', async () => {
    const codes: number[] = []
    while (codes.length < 10) codes.push((await unary(said('plain', 'ben'))).status.code)
    assert.deepEqual(codes, [...Array(5).fill(status.OK), ...Array(5).fill(status.UNAVAILABLE)])
    assert.equal((await recordOf('rate-exceeded')).grpcStatus, status.UNAVAILABLE)
  })

  test('over HTTP/1.1 there is none: refused, and nothing of it reaches the service', async () => {
    const before = seen.length
    const answer = await gateway.ask(echoService.unary.path, {
      method: 'POST',
      headers: { 'content-type': 'application/grpc', te: 'trailers' },
      body: '\0\0\0\0\x05hello',
    } as object)
    assert.deepEqual(
      [answer.status, answer.headers['x-sallyport-problem'], seen.length],
      [400, 'grpc-needs-http2', before],
    )
  })
})

test('a call whose service dies is told so', async () => {
  const call = both(said('break', 'ann'))
  const ended = endOf(call)
  call.write(Buffer.from('one'))
  await once(call, 'data')
  server.stop()
  const { code, metadata } = await ended
  assert.equal(code, status.UNAVAILABLE)
  assert.deepEqual(metadata.get('x-sallyport-problem'), ['upstream-broken'])
  assert.equal((await recordOf('upstream-broken')).grpcStatus, status.UNAVAILABLE)
})
