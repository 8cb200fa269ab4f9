// A destination that asks for a second ClientHello goes by that one: it must name what the first one named.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createTcp, type AddressInfo, type Socket } from 'node:net'
import { after, suite, test } from 'node:test'
import { connect as connectTls, createServer as createTls, type TLSSocket } from 'node:tls'
import fc from 'fast-check'
import { readClientHello } from '#gateway/egress/client-hello'
import { isRefusal, type TunnelWatch } from '#gateway/egress/tunnel-watch'
import { watchSecondHello } from '#gateway/egress/second-hello'
import { helloOf } from './hello.ts'
import { certificates, runRig } from './rig.ts'

const certs = certificates()
const { pem, keyPem } = certs.outside('DNS:api.test, DNS:oth.test')
/** Of whom a destination was told that it is meant. */
const named: string[] = []
const sockets = new Set<Socket>()
const keep = (socket: Socket): Socket => {
  sockets.add(socket)
  return socket.on('error', () => {})
}
/** Takes one curve, which no client has made a key for yet: it asks each of them for another ClientHello. */
const retrying = createTls(
  {
    cert: pem,
    key: keyPem,
    ecdhCurve: 'P-384',
    SNICallback: (name, done) => {
      named.push(name)
      done(null)
    },
  },
  (socket) => {
    keep(socket)
    socket.end('through')
  },
).on('tlsClientError', () => {})
const reached: Buffer[] = []
let answer: Buffer = Buffer.alloc(0)
/** Answers with bytes of the test, and notes all that comes. */
const raw = createTcp((socket) => {
  keep(socket)
  let isFirst = true
  socket.on('data', (chunk) => {
    reached.push(chunk)
    if (isFirst) socket.write(answer)
    isFirst = false
  })
})
const portOf = async (server: ReturnType<typeof createTcp>) => {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}
const retryPort = await portOf(retrying)
const rawPort = await portOf(raw)
const rig = await runRig(certs, {
  rules: [
    {
      id: 'shop',
      destinations: [
        { hosts: ['api.test'], ports: [retryPort, rawPort], opens: ['127.0.0.0/8'] },
        {
          hosts: ['ech.test'],
          ports: [rawPort],
          opens: ['127.0.0.0/8'],
          encryptedClientHello: true,
        },
      ],
    },
  ],
})
for (const name of ['api.test', 'ech.test'])
  rig.dns.set(name, [{ type: 'A', address: '127.0.0.1' }])

const decisionIdOf = (head: string) => /x-sallyport-decision-id: (\S+)/.exec(head)?.[1]
const closedRecord = (head: string) => {
  const decisionId = decisionIdOf(head)
  return rig.recordOf(
    (event) => event.decisionId === decisionId && event.egress?.phase === 'closed',
  )
}

suite('a destination that asks for a second ClientHello', () => {
  /** TLS of Node's over a connection; of its second ClientHello `api.test` becomes `name`. */
  const handshake = async (over: Socket, name: string) => {
    let hellos = 0
    const bridge = createTcp((socket) => {
      keep(socket)
      socket.on('data', (chunk) => {
        const text = chunk.toString('latin1')
        if (text.includes('api.test')) hellos += 1
        over.write(hellos > 1 ? text.replaceAll('api.test', name) : text, 'latin1')
      })
      over.on('data', (chunk: Buffer) => socket.write(chunk))
      over.on('close', () => socket.destroy())
    })
    await once(bridge.listen(0, '127.0.0.1'), 'listening')
    const tls: TLSSocket = connectTls({
      port: (bridge.address() as AddressInfo).port,
      host: '127.0.0.1',
      servername: 'api.test',
      ca: certs.outsideRoot.pem,
      ecdhCurve: 'X25519:P-384',
    })
    const outcome = await new Promise<string>((resolve) => {
      tls.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
      tls.once('data', (chunk) => resolve(String(chunk)))
    })
    tls.destroy()
    over.destroy()
    bridge.close()
    return { outcome, hellos }
  }
  const throughProxy = async (name: string) => {
    named.length = 0
    const { wire, answer: connected } = await rig.connect(`api.test:${retryPort}`)
    const { outcome, hellos } = await handshake(wire.socket, name)
    return { outcome, hellos, record: await closedRecord(connected.head) }
  }
  test('gets one of the same name', async () => {
    const { outcome, hellos, record } = await throughProxy('api.test')
    assert.deepEqual([outcome, hellos, record.problem], ['through', 2, 'none'])
    assert.ok(named.every((name) => name === 'api.test') && named.length > 0)
  })
  test('gets none of another name', async () => {
    const { outcome, hellos, record } = await throughProxy('oth.test')
    assert.match(outcome, /UNRECOGNIZED_NAME/)
    assert.deepEqual(
      [hellos, record.problem, record.step],
      [2, 'server-name-refused', 'client hello'],
    )
    assert.deepEqual([record.egress?.serverName, record.egress?.closedBy], ['mismatch', 'refused'])
    assert.match(record.cause ?? '', /oth\.test/)
    assert.ok(!named.includes('oth.test'))
  })
})

const record = (type: number, body: Buffer) =>
  Buffer.concat([Buffer.from([type, 3, 3, body.length >> 8, body.length & 255]), body])
const retryRandom = 'cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c'
const serverHello = (random: string, type = 2) =>
  Buffer.concat([
    Buffer.from([type, 0, 0, 36, 3, 3]),
    Buffer.from(random, 'hex'),
    Buffer.from([0, 0]),
  ])
const retry = record(22, serverHello(retryRandom))
const yes = record(22, serverHello('ab'.repeat(32)))
const change = record(20, Buffer.from([1]))
const early = record(23, Buffer.from('early data'))
const warning = record(21, Buffer.from([1, 112]))
const hello = helloOf('api.test')
const other = helloOf('oth.test')
const inPieces = (bytes: Buffer, pieceBytes: number) =>
  Buffer.concat(
    Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, i) =>
      record(22, bytes.subarray(i * pieceBytes, (i + 1) * pieceBytes)),
    ),
  )

suite('bytes of a workload that makes its handshake itself', () => {
  const sent = async (
    parts: { readonly first: Buffer; readonly second?: Buffer; readonly answered: Buffer },
    host = 'api.test',
  ) => {
    reached.length = 0
    answer = parts.answered
    const { wire, answer: connected } = await rig.connect(`${host}:${rawPort}`)
    const got: Buffer[] = []
    let gotBytes = 0
    const closed = once(wire.socket, 'close')
    const came = new Promise<void>((resolve) => {
      wire.socket.on('data', (chunk: Buffer) => {
        got.push(chunk)
        gotBytes += chunk.length
        if (gotBytes >= parts.answered.length) resolve()
      })
    })
    wire.socket.write(parts.first)
    await Promise.race([came, closed])
    if (parts.second) wire.socket.write(parts.second)
    const all = Buffer.concat([parts.first, parts.second ?? Buffer.alloc(0)])
    const isThrough = async () => {
      for (;;) {
        if (wire.socket.destroyed || wire.socket.closed) return false
        if (Buffer.concat(reached).length >= all.length) return true
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }
    const passed = await isThrough()
    wire.destroy()
    const { problem, egress } = await closedRecord(connected.head)
    return {
      passed,
      problem,
      said: egress?.serverName,
      reached: Buffer.concat(reached),
      got: Buffer.concat(got),
    }
  }
  for (const [what, parts] of [
    ['the same again', { first: hello, answered: retry, second: hello }],
    [
      'the same in records of seven bytes',
      { first: hello, answered: retry, second: helloOf('api.test', { recordBytes: 7 }) },
    ],
    [
      'early data and a change of ciphers around it',
      {
        first: Buffer.concat([hello, change, early]),
        answered: Buffer.concat([retry, change]),
        second: Buffer.concat([early, change, hello, early]),
      },
    ],
    ['whatever it likes once it has its answer', { first: hello, answered: yes, second: other }],
    [
      'whatever it likes to whom speaks no TLS',
      { first: hello, answered: Buffer.from('HTTP/1.1 400 No\r\n\r\n'), second: other },
    ],
  ] as const)
    test(`${what}: gets through`, async () => {
      const { passed, problem, reached: there } = await sent(parts)
      assert.deepEqual([passed, problem], [true, 'none'])
      assert.deepEqual(there, Buffer.concat([parts.first, parts.second]))
    })
  for (const [what, parts, said] of [
    ['another name', { first: hello, answered: retry, second: other }, 'mismatch'],
    [
      'another name in records of a byte',
      { first: hello, answered: retry, second: helloOf('oth.test', { recordBytes: 1 }) },
      'mismatch',
    ],
    [
      'another name behind early data',
      { first: hello, answered: retry, second: Buffer.concat([early, change, other]) },
      'mismatch',
    ],
    ['no name', { first: hello, answered: retry, second: helloOf('', { names: [] }) }, 'malformed'],
    [
      'two names',
      {
        first: hello,
        answered: retry,
        second: helloOf('api.test', { names: ['api.test', 'oth.test'] }),
      },
      'malformed',
    ],
    [
      'an encrypted one',
      { first: hello, answered: retry, second: helloOf('api.test', { encrypted: true }) },
      'encrypted',
    ],
    [
      'what is no ClientHello',
      { first: hello, answered: retry, second: record(22, Buffer.from([11, 0, 0, 1, 0])) },
      'malformed',
    ],
    [
      'what is no record',
      { first: hello, answered: retry, second: Buffer.from('GET / HTTP/1.1\r\n\r\n') },
      'malformed',
    ],
    [
      'one without end',
      {
        first: hello,
        answered: retry,
        second: inPieces(
          Buffer.concat([Buffer.from([1, 0, 255, 255]), Buffer.alloc(20_000)]),
          1000,
        ),
      },
      'too-long',
    ],
    [
      'a second one before there is an answer',
      { first: Buffer.concat([hello, other]), answered: retry },
      'malformed',
    ],
    [
      'a second one behind early data before there is an answer',
      { first: Buffer.concat([hello, change, early, other]), answered: retry },
      'malformed',
    ],
    [
      'another name where the answer came in records of a byte',
      { first: hello, answered: inPieces(serverHello(retryRandom), 1), second: other },
      'mismatch',
    ],
    [
      'another name where a warning came first',
      { first: hello, answered: Buffer.concat([warning, retry]), second: other },
      'mismatch',
    ],
    [
      'anything where the answer is no ServerHello',
      { first: hello, answered: record(22, serverHello('00', 0)), second: other },
      'malformed',
    ],
  ] as const)
    test(`${what}: ${said}`, async () => {
      const result = await sent(parts)
      assert.deepEqual(
        [result.passed, result.problem, result.said],
        [false, 'server-name-refused', said],
      )
      assert.ok(!result.reached.includes('oth.test'), 'it reached the destination')
    })
  test('is told by an alert', async () => {
    const { got } = await sent({ first: hello, answered: retry, second: other })
    assert.deepEqual(got.subarray(retry.length), Buffer.from([21, 3, 3, 0, 2, 2, 112]))
  })
  test('whose ClientHello was encrypted may not say it openly the second time', async () => {
    const first = helloOf('ech.test', { encrypted: true })
    const same = await sent({ first, answered: retry, second: first }, 'ech.test')
    assert.deepEqual([same.passed, same.problem], [true, 'none'])
    const open = await sent({ first, answered: retry, second: helloOf('ech.test') }, 'ech.test')
    assert.deepEqual([open.passed, open.said], [false, 'encrypted'])
  })
})

suite('the watch over a handshake', () => {
  const watchOf = (): TunnelWatch => {
    const read = readClientHello(hello)
    assert.ok(read.kind === 'hello')
    return watchSecondHello(read, ({ verdict, cause }) => ({
      problem: { tag: 'server-name-refused', cause: `${verdict} ${cause}` },
    }))
  }
  const cut = (bytes: Buffer, at: readonly number[]) => {
    const edges = [
      0,
      ...at.map((one) => one % (bytes.length + 1)).sort((a, b) => a - b),
      bytes.length,
    ]
    return edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge))
  }
  const cuts = fc.array(fc.nat(400), { maxLength: 12 })
  const out = (watch: TunnelWatch, chunks: readonly Buffer[]) => {
    let passed = Buffer.alloc(0)
    for (const chunk of chunks) {
      const on = watch.out?.(chunk) ?? chunk
      if (isRefusal(on)) return undefined
      passed = Buffer.concat([passed, on])
    }
    return passed
  }
  test('says the same however what comes is cut', () => {
    let runs = 0
    fc.assert(
      fc.property(cuts, cuts, cuts, fc.boolean(), (a, b, c, isOther) => {
        runs += 1
        const watch = watchOf()
        const [first, second] = [
          Buffer.concat([hello, change, early]),
          Buffer.concat([early, change, isOther ? other : hello]),
        ]
        assert.deepEqual(out(watch, cut(first, a)), first)
        for (const chunk of cut(Buffer.concat([warning, retry]), b))
          assert.deepEqual(watch.in(chunk), chunk)
        assert.equal(watch.isOver(), false)
        assert.deepEqual(out(watch, cut(second, c)), isOther ? undefined : second)
        assert.equal(watch.isOver(), !isOther)
      }),
    )
    assert.ok(runs >= 100)
  })
  test('no bytes make it throw', () => {
    const bytes = fc.array(fc.uint8Array({ maxLength: 80 }))
    fc.assert(
      fc.property(bytes, bytes, bytes, (a, b, c) => {
        const watch = watchOf()
        out(watch, [hello, ...a.map((one) => Buffer.from(one))])
        for (const one of b) watch.in(Buffer.from(one))
        watch.in(retry)
        out(
          watch,
          c.map((one) => Buffer.from(one)),
        )
      }),
    )
  })
})

test('nothing of this was a bug of ours', () => assert.deepEqual(rig.bugs, []))
