// Calls of gRPC within inspected TLS, by the library that many clients and services are written with.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { after, suite, test } from 'node:test'
import { Client, credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js'
import { secret } from '#contract/secret'
import { echoService, startGrpcServer } from '#test/fakes/grpc-echo'
import { runDestination, runInspectionRig } from './inspection-rig.ts'
import { certificates } from './rig.ts'

const token = 'tok_live_0123456789'
const certs = certificates()
const asked: Metadata[] = []
const what = ({ metadata }: { readonly metadata: Metadata }): string => {
  asked.push(metadata)
  return String(metadata.get('what')[0])
}
const authorizationOf = ({ metadata }: { readonly metadata: Metadata }) =>
  String(metadata.get('authorization')[0])
const made = certs.outside('DNS:grpc.test, DNS:key.test')
const service = await startGrpcServer(
  { cert: made.pem, key: made.keyPem, roots: certs.outsideRoot.pem, asksForCertificates: false },
  {
    unary: (call, done) => {
      const trailer = new Metadata()
      switch (what(call)) {
        case 'missing':
          trailer.set('why-bin', Buffer.from([0, 255, 1]))
          return done({ code: status.NOT_FOUND, details: 'kein Buch „ä“', metadata: trailer })
        case 'too many':
          for (let i = 0; i < 70; i += 1) trailer.set(`x-${i}`, 'y')
          return done(null, call.request, trailer)
        case 'message':
          return done(null, Buffer.from(authorizationOf(call)))
        case 'trailer':
          trailer.set('x-shown', authorizationOf(call))
          return done(null, call.request, trailer)
        default:
          trailer.set('x-sum', '1')
          trailer.set('x-sallyport-error', 'forged')
          trailer.set('set-cookie', 'a=1')
          done(null, call.request, trailer)
      }
    },
    down: (call) => {
      what(call)
      for (let i = 0; i < 50; i += 1) call.write(Buffer.alloc(16_384, i))
      call.end()
    },
    up: (call, done) => {
      let bytes = 0
      call.on('data', (message: Buffer) => (bytes += message.length))
      call.on('end', () => done(null, Buffer.from(String(bytes))))
    },
    both: (call) => {
      call.on('error', () => {})
      call.on('data', (message: Buffer) => call.write(message))
      call.on('end', () => call.end())
    },
  },
)
after(service.stop)
const old = await runDestination(certs.outside('DNS:old.test'), (_req, res) => void res.end('old'))

const inspected = { protocol: 'tls-inspected' as const, opens: ['127.0.0.0/8'] }
const rig = await runInspectionRig(certs, ['grpc.test', 'key.test', 'old.test'], {
  rules: [
    {
      id: 'shop',
      destinations: [
        { ...inspected, hosts: ['grpc.test'], ports: [service.port], paths: ['/test.Echo'] },
        { ...inspected, hosts: ['key.test'], ports: [service.port], credential: 'api' },
        { ...inspected, hosts: ['old.test'], ports: [old.port] },
      ],
    },
  ],
  more: { credentials: { api: { kind: 'bearer', token: secret(token), scanBytes: 65_536 } } },
})
for (const name of ['grpc.test', 'key.test', 'old.test'])
  rig.dns.set(name, [{ type: 'A', address: '127.0.0.1' }])

/** A client whose connection goes through a tunnel of the proxy. */
const clientTo = async (place: string): Promise<Client> => {
  const sockets = new Set<Socket>()
  const bridge = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    void rig.connect(place).then(({ wire }) => {
      wire.socket.removeAllListeners('data')
      wire.socket.on('error', () => {}).pipe(socket)
      socket.pipe(wire.socket)
    })
  })
  await once(bridge.listen(0, '127.0.0.1'), 'listening')
  const client = new Client(
    `127.0.0.1:${(bridge.address() as AddressInfo).port}`,
    credentials.createSsl(Buffer.from(rig.ca)),
    {
      'grpc.ssl_target_name_override': place.split(':')[0] ?? '',
      'grpc.default_authority': place,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
    },
  )
  after(() => {
    client.close()
    bridge.close()
    for (const socket of sockets) socket.destroy()
  })
  return client
}
const saying = (value: string): Metadata => {
  const metadata = new Metadata()
  metadata.set('what', value)
  return metadata
}
type Answered = {
  readonly error: ServiceError | null
  readonly answer: string | undefined
  readonly trailers: Metadata
}
const unary = (client: Client, value: string, path = echoService.unary.path): Promise<Answered> =>
  new Promise((resolve) => {
    const { requestSerialize, responseDeserialize } = echoService.unary
    let ended: { readonly error: ServiceError | null; readonly answer?: Buffer } | undefined
    let trailers: Metadata | undefined
    const settle = () => {
      if (ended && trailers)
        resolve({ error: ended.error, answer: ended.answer?.toString(), trailers })
    }
    const call = client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      Buffer.from('hello'),
      saying(value),
      (error, answer) => {
        ended = answer === undefined ? { error } : { error, answer }
        settle()
      },
    )
    call.on('status', ({ metadata }) => {
      trailers = metadata
      settle()
    })
  })

const grpc = await clientTo(`grpc.test:${service.port}`)
const keyed = await clientTo(`key.test:${service.port}`)

suite('a call of gRPC within inspected TLS', () => {
  test('has its answer, and of its trailers those that may pass', async () => {
    const { error, answer, trailers } = await unary(grpc, 'plain')
    assert.deepEqual([error, answer], [null, 'hello'])
    assert.deepEqual(trailers.get('x-sum'), ['1'])
    assert.deepEqual([trailers.get('set-cookie'), trailers.get('x-sallyport-error')], [[], []])
    const { grpcStatus, status: http } = await rig.recordOf(
      ({ request, egress }) => request?.path === '/test.Echo/unary' && egress?.phase === 'whole',
    )
    assert.deepEqual([grpcStatus, http], [0, 200])
  })
  test('that fails at its service says how', async () => {
    const { error } = await unary(grpc, 'missing')
    assert.deepEqual([error?.code, error?.details], [status.NOT_FOUND, 'kein Buch „ä“'])
    assert.deepEqual(error?.metadata.get('why-bin'), [Buffer.from([0, 255, 1])])
  })
  test('streams down, up and both ways', async () => {
    const bytes = await new Promise((resolve, reject) => {
      let count = 0
      const { path, requestSerialize, responseDeserialize } = echoService.down
      grpc
        .makeServerStreamRequest(
          path,
          requestSerialize,
          responseDeserialize,
          Buffer.alloc(0),
          saying('down'),
        )
        .on('data', (message: Buffer) => (count += message.length))
        .on('error', reject)
        .on('end', () => resolve(count))
    })
    assert.equal(bytes, 50 * 16_384)
    const sum = await new Promise((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = echoService.up
      const call = grpc.makeClientStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        saying('up'),
        (error, answer) => (error ? reject(error) : resolve(answer?.toString())),
      )
      for (let i = 0; i < 20; i += 1) call.write(Buffer.alloc(1000))
      call.end()
    })
    assert.equal(sum, '20000')
    await inTurn(grpc, ['one', 'two'])
  })
  test('with more trailers than may pass is broken off', async () => {
    const { error } = await unary(grpc, 'too many')
    assert.equal(error?.code, status.UNAVAILABLE)
    const { cause } = await rig.recordOf(({ problem }) => problem === 'destination-broken')
    assert.match(cause ?? '', /more trailers/)
  })
  test('to a path that is not listed is refused in its own words', async () => {
    const { error } = await unary(grpc, 'x', '/other.Service/call')
    assert.equal(error?.code, status.PERMISSION_DENIED)
    assert.match(error?.details ?? '', /shop/)
    assert.deepEqual(error?.metadata.get('x-sallyport-error'), ['destination-denied'])
  })
  test('to a destination of HTTP/1.1 is refused, for it would lose its status', async () => {
    const { error } = await unary(await clientTo(`old.test:${old.port}`), 'x')
    assert.equal(error?.code, status.UNAVAILABLE)
    assert.deepEqual(error?.metadata.get('x-sallyport-error'), ['destination-broken'])
  })
})

suite('a call of gRPC with a credential', () => {
  test('is asked for as it is, and answered at once also where a message ends as the credential begins', async () => {
    asked.length = 0
    assert.equal((await unary(keyed, 'plain')).answer, 'hello')
    assert.equal(asked[0]?.get('authorization')[0], `Bearer ${token}`)
    assert.deepEqual(asked[0]?.get('grpc-accept-encoding').includes('gzip'), false)
    await inTurn(keyed, ['ends in t', 'ends in tok', 'x'])
  })
  for (const where of ['message', 'trailer'])
    test(`is stopped where a ${where} holds it`, async () => {
      const { error, answer } = await unary(keyed, where)
      assert.equal(error?.code, status.UNAVAILABLE)
      assert.deepEqual(error?.metadata.get('x-sallyport-error'), ['credential-returned'])
      assert.equal(answer, undefined)
      assert.ok(!JSON.stringify([error, error?.metadata.toJSON()]).includes(token))
    })
})

/** Says each only after the one before has come back. */
async function inTurn(client: Client, messages: readonly string[]): Promise<void> {
  const { path, requestSerialize, responseDeserialize } = echoService.both
  const call = client.makeBidiStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    saying('both'),
  )
  for (const message of messages) {
    const back = once(call, 'data')
    call.write(Buffer.from(message))
    assert.equal(String((await back)[0]), message)
  }
  const ended = once(call, 'end')
  call.end()
  await ended
}

test('nothing of this was a bug of ours', () => assert.deepEqual(rig.bugs, []))
