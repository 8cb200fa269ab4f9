import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import fc from 'fast-check'
import { ask, until, type Answer, type Asked } from '../h2-client/ask.ts'
import { clientOf, rawPeer } from './raw-peer.ts'

/** What becomes of a request that is answered by these octets, in these pieces. */
const answeredBy = async (t: TestContext, pieces: readonly string[], asked: Asked = {}) => {
  const peer = await rawPeer(({ socket, count }) => {
    if (count > 1) return
    for (const piece of pieces) socket.write(piece, 'latin1')
    if (pieces.at(-1) === '') socket.end()
  })
  t.after(peer.close)
  const client = clientOf(peer.port)
  const answer = await ask(client, asked)
  client.destroy(new Error('the test is over'))
  return answer
}

const ok = 'HTTP/1.1 200 OK\r\n'
const whole: Record<string, readonly [octets: string, body: string, isEnded?: boolean]> = {
  'by its length': [`${ok}content-length: 5\r\n\r\nhello`, 'hello'],
  'of no length': [`${ok}content-length: 0\r\n\r\n`, ''],
  'in chunks': [`${ok}transfer-encoding: chunked\r\n\r\n4\r\nhell\r\n1\r\no\r\n0\r\n\r\n`, 'hello'],
  'in chunks with extensions and trailers': [
    `${ok}Transfer-Encoding: Chunked\r\n\r\n5;a="b"\r\nhello\r\n0\r\nx: y\r\n\r\n`,
    'hello',
  ],
  'up to the end of the connection': [`${ok}a: b\r\n\r\nhello`, 'hello', true],
  'of HTTP/1.0': ['HTTP/1.0 200 OK\r\n\r\nhello', 'hello', true],
  'without a reason': ['HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok', 'ok'],
  'after several of 1xx': [
    `HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 102 \r\n\r\n${ok}content-length: 2\r\n\r\nok`,
    'ok',
  ],
}
for (const [name, [octets, body, isEnded = false]] of Object.entries(whole)) {
  test(`an answer ${name} is whole, however it is cut`, async (t) => {
    const cuts = [[octets], octets.split(''), [octets.slice(0, 40), octets.slice(40)]]
    for (const pieces of cuts) {
      const answer = await answeredBy(t, isEnded ? [...pieces, ''] : pieces)
      assert.deepEqual([answer.fault, answer.status, answer.body], [undefined, 200, body])
    }
  })
}

const faulty: Record<string, string> = {
  'another protocol': 'HTTP/2 200 OK\r\n\r\n',
  'a version that is none': 'HTTP/1.2 200 OK\r\n\r\n',
  'a status that is none': 'HTTP/1.1 20 OK\r\n\r\n',
  'an upgrade that nobody asked for': 'HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n',
  'one line that ends with LF alone': `${ok}a: b\ncontent-length: 2\r\n\r\nok`,
  'a CR within a value': `${ok}a: b\rcontent-length: 2\r\n\r\nok`,
  'a NUL within a value': `${ok}a: b\0c\r\ncontent-length: 2\r\n\r\nok`,
  'white space before a colon': `${ok}content-length : 2\r\n\r\nok`,
  'a folded line': `${ok}a: b\r\n c\r\ncontent-length: 2\r\n\r\nok`,
  'a line without a colon': `${ok}content-length\r\n\r\nok`,
  'a name that is none': `${ok}a(b: c\r\ncontent-length: 2\r\n\r\nok`,
  'two lengths': `${ok}content-length: 2\r\ncontent-length: 2\r\n\r\nok`,
  'a list of lengths': `${ok}content-length: 2, 2\r\n\r\nok`,
  'a negative length': `${ok}content-length: -2\r\n\r\nok`,
  'a length in hex': `${ok}content-length: 0x2\r\n\r\nok`,
  'a length too large to count': `${ok}content-length: 99999999999999999\r\n\r\nok`,
  'a length and chunks': `${ok}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
  'a coding that is none': `${ok}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n`,
  'two codings': `${ok}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  'chunked twice': `${ok}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
  'chunks in HTTP/1.0': 'HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
  'a body in a 204': 'HTTP/1.1 204 No\r\ncontent-length: 2\r\n\r\nok',
  'a chunk without a size': `${ok}transfer-encoding: chunked\r\n\r\n\r\nhello`,
  'a chunk of a negative size': `${ok}transfer-encoding: chunked\r\n\r\n-5\r\nhello\r\n`,
  'a chunk of a size that is none': `${ok}transfer-encoding: chunked\r\n\r\n0x5\r\nhello\r\n`,
  'a chunk of a size after a LF': `${ok}transfer-encoding: chunked\r\n\r\n5\n0\r\nhello\r\n`,
  'a chunk that is longer than it says': `${ok}transfer-encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n`,
  'a trailer that is no field': `${ok}transfer-encoding: chunked\r\n\r\n0\r\nbad trailer\r\n\r\n`,
  'a head that does not end': `${ok}${'a: b\r\n'.repeat(12_000)}`,
  'too many fields': `${ok}${'a: b\r\n'.repeat(600)}\r\n`,
  'an extension that does not end': `${ok}transfer-encoding: chunked\r\n\r\n5;${'x'.repeat(2000)}`,
  'trailers that do not end': `${ok}transfer-encoding: chunked\r\n\r\n0\r\n${'a: b\r\n'.repeat(4000)}`,
  '1xx without end': 'HTTP/1.1 102 Wait\r\n\r\n'.repeat(20),
}
for (const [name, octets] of Object.entries(faulty))
  test(`an answer with ${name} is broken`, async (t) => {
    const { fault } = await answeredBy(t, [octets])
    assert.equal(fault?.kind, 'broken')
    assert.equal(fault.unsent, false)
  })

test('lines that end with LF alone are no head: its end is waited for in vain', async (t) => {
  const { fault } = await answeredBy(t, ['HTTP/1.1 200 OK\ncontent-length: 2\n\nok'], {
    headersTimeoutMs: 300,
  })
  assert.equal(fault?.kind, 'timeout')
})

test('an answer that ends before its end is broken', async (t) => {
  for (const octets of [
    'HTTP/1.1 2',
    `${ok}content-length: 5\r\n\r\nhell`,
    `${ok}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n`,
  ])
    assert.equal((await answeredBy(t, [octets, ''])).fault?.kind, 'broken')
})

test('answers to HEAD and those that have no body end with their heads', async (t) => {
  const asked: [string, Asked][] = [
    [`${ok}content-length: 5\r\n\r\n`, { method: 'HEAD' }],
    [`${ok}transfer-encoding: chunked\r\n\r\n`, { method: 'HEAD' }],
    ['HTTP/1.1 304 Not\r\ncontent-length: 5\r\n\r\n', {}],
    ['HTTP/1.1 204 No\r\n\r\n', {}],
    ['HTTP/1.1 204 No\r\ncontent-length: 0\r\n\r\n', {}],
  ]
  for (const [octets, how] of asked) {
    const { fault, body, headers, status } = await answeredBy(t, [octets], how)
    assert.deepEqual([fault, body], [undefined, ''])
    assert.ok(status !== 204 || !headers.includes('content-length'))
  }
})

test('what is for the next hop is taken away, and what Connection names', async (t) => {
  const { headers } = await answeredBy(t, [
    `${ok}Connection: close, X-One\r\nx-one: 1\r\nKeep-Alive: timeout=5\r\nX-Two:  2\t\r\ncontent-length: 0\r\n\r\n`,
  ])
  assert.deepEqual(headers, ['x-two', '2', 'content-length', '0'])
})

test('whatever comes, each request has one end, and its octets in order', async (t) => {
  const bits = [
    'HTTP/1.1 200 OK\r\n',
    'content-length: 3\r\n',
    'transfer-encoding: chunked\r\n',
    '\r\n',
    'abc',
    '3\r\n',
    '0\r\n',
    'a: b\r\n',
    '\0',
    '\n',
  ]
  let next: readonly string[] = []
  const peer = await rawPeer(({ socket }) => {
    for (const piece of next) socket.write(piece, 'latin1')
    socket.end()
  })
  t.after(peer.close)
  const client = clientOf(peer.port)
  let ended = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.constantFrom(...bits), fc.string({ maxLength: 12 })), { maxLength: 14 }),
      async (pieces) => {
        next = pieces
        const answer: Answer = await ask(client)
        ended += 1
        if (answer.fault === undefined) assert.ok(answer.status >= 200)
        else assert.ok(['broken', 'unreachable'].includes(answer.fault.kind))
      },
    ),
    { numRuns: 300 },
  )
  assert.ok(ended >= 300)
  await until(() => client.stats().open === 0, 'every connection is gone')
  client.destroy(new Error('the test is over'))
})
