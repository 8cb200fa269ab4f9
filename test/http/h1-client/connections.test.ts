import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import { h1Client } from '#http/h1-client/h1-client'
import type { UpstreamControl } from '#http/upstream-client'
import { ask, until } from '../h2-client/ask.ts'
import { clientOf, rawPeer } from './raw-peer.ts'

const saying = (body: string, more = '') =>
  `HTTP/1.1 200 OK\r\n${more}content-length: ${body.length}\r\n\r\n${body}`
const pathOf = (head: string) => head.split(' ')[1] ?? ''

test('one request after the other goes over one connection, several at once over several', async (t) => {
  const peer = await rawPeer(({ socket, head }) => void socket.write(saying(pathOf(head))))
  t.after(peer.close)
  const client = clientOf(peer.port, { maxConnections: 3 })
  for (const path of ['/1', '/2', '/3']) assert.equal((await ask(client, { path })).body, path)
  assert.equal(peer.brought.length, 1)
  const paths = Array.from({ length: 30 }, (_, i) => `/at-once/${i}`)
  const answers = await Promise.all(paths.map((path) => ask(client, { path })))
  assert.deepEqual(
    answers.map(({ body }) => body),
    paths,
  )
  assert.equal(peer.brought.length, 3)
  assert.deepEqual(client.stats(), { open: 3, connecting: 0, inFlight: 0, queued: 0 })
  await client.close()
  assert.deepEqual(client.stats(), { open: 0, connecting: 0, inFlight: 0, queued: 0 })
})

for (const [when, pieces] of [
  ['with it', [saying('one') + saying('poison')]],
  ['right behind it', [saying('one'), saying('poison')]],
] as const)
  test(`what comes ${when} is never the answer to the next request`, async (t) => {
    const peer = await rawPeer(({ socket, head }) => {
      if (pathOf(head) === '/one') for (const piece of pieces) socket.write(piece)
      else socket.write(saying('two'))
    })
    t.after(peer.close)
    const client = clientOf(peer.port, { maxConnections: 1 })
    for (let i = 0; i < 20; i++) {
      // The second waits for the only connection, and would be the first to have it.
      const [one, two] = await Promise.all([
        ask(client, { path: '/one' }),
        ask(client, { path: '/two' }),
      ])
      assert.equal(one.body, 'one')
      // Over TCP it may come in a later turn: then it ends the connection, and whoever is on it is told so.
      assert.ok(two.body === 'two' || two.fault?.kind === 'broken' || when !== 'with it', two.body)
    }
    client.destroy(new Error('the test is over'))
  })

test('an answer that nobody asked for ends an idle connection', async (t) => {
  const peer = await rawPeer(({ socket, head }) => {
    socket.write(saying(pathOf(head)))
    if (pathOf(head) === '/one') setTimeout(() => socket.write(saying('poison')), 30)
  })
  t.after(peer.close)
  const client = clientOf(peer.port)
  await ask(client, { path: '/one' })
  await until(() => client.stats().open === 0, 'it is gone')
  assert.equal((await ask(client, { path: '/two' })).body, '/two')
  client.destroy(new Error('the test is over'))
})

test('a connection is not used again after close, HTTP/1.0 or beyond what the peer keeps it for', async (t) => {
  for (const answer of [
    saying('x', 'connection: close\r\n'),
    'HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx',
    saying('x', 'keep-alive: timeout=1\r\n'),
  ]) {
    const peer = await rawPeer(({ socket }) => void socket.write(answer))
    t.after(peer.close)
    const client = clientOf(peer.port)
    for (let i = 0; i < 3; i++) assert.equal((await ask(client)).body, 'x')
    assert.equal(peer.brought.length, 3)
    client.destroy(new Error('the test is over'))
  }
})

test('an idle connection ends by itself', async (t) => {
  const peer = await rawPeer(({ socket }) => void socket.write(saying('x')))
  t.after(peer.close)
  const client = clientOf(peer.port, { idleConnectionMs: 50 })
  await ask(client)
  await until(() => client.stats().open === 0, 'it has ended')
  client.destroy(new Error('the test is over'))
})

test('what cannot be a request is thrown back, and nothing of it is sent', async (t) => {
  const peer = await rawPeer(() => {})
  t.after(peer.close)
  const client = clientOf(peer.port)
  const bad = [
    { path: '/a b' },
    { path: '/a\r\nx: y' },
    { method: 'CONNECT' },
    { method: 'GET /x HTTP/1.1\r\nx' },
    { headers: ['a', 'b\r\nc: d'] },
    { headers: ['a\r\nb', 'c'] },
    { headers: ['A', 'b'] },
    { headers: ['host', 'elsewhere'] },
    { headers: ['transfer-encoding', 'chunked'] },
    { headers: ['connection', 'close'] },
    { headers: ['expect', '100-continue'] },
    { headers: ['content-length', '1', 'content-length', '1'], body: Buffer.from('x') },
    { headers: ['content-length', '2'], body: Buffer.from('x') },
    { headers: ['content-length', '2'] },
  ]
  for (const asked of bad) await assert.rejects(ask(client, asked), TypeError)
  assert.equal(peer.brought.length, 0)
  client.destroy(new Error('the test is over'))
})

test('a body is framed by what it is', async (t) => {
  const peer = await rawPeer(() => {})
  t.after(peer.close)
  const sent = async (asked: Parameters<typeof ask>[1], end: string) => {
    const client = clientOf(peer.port)
    const at = peer.brought.length
    const answer = ask(client, asked)
    await until(() => peer.brought[at]?.endsWith(end) === true, end)
    client.destroy(new Error('the test is over'))
    await answer
    return peer.brought[at] ?? ''
  }
  const start = (method: string) => `${method} / HTTP/1.1\r\nhost: peer.test\r\n`
  assert.equal(await sent({ headers: ['te', 'trailers'] }, '\r\n\r\n'), `${start('GET')}\r\n`)
  assert.equal(
    await sent({ method: 'POST' }, '\r\n\r\n'),
    `${start('POST')}content-length: 0\r\n\r\n`,
  )
  assert.equal(
    await sent({ method: 'PUT', body: Buffer.from('abc') }, 'abc'),
    `${start('PUT')}content-length: 3\r\n\r\nabc`,
  )
  const large = 'x'.repeat(20_000)
  assert.equal(
    await sent({ method: 'PUT', body: Buffer.from(large) }, large),
    `${start('PUT')}content-length: 20000\r\n\r\n${large}`,
  )
  const stream = () => Readable.from([Buffer.from('abc'), Buffer.from('de')])
  assert.equal(
    await sent({ method: 'PUT', body: stream() }, '0\r\n\r\n'),
    `${start('PUT')}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`,
  )
  assert.equal(
    await sent({ method: 'PUT', headers: ['content-length', '5'], body: stream() }, 'abcde'),
    `${start('PUT')}content-length: 5\r\n\r\nabcde`,
  )
})

test('a body that breaks off, or is not as long as it says, is `aborted`; its connection ends', async (t) => {
  const broken = new Readable({ read: () => {} })
  broken.push('abc')
  const peer = await rawPeer(({ head }) => {
    if (head.includes('content-length: 9')) broken.destroy(new Error('gone'))
  })
  t.after(peer.close)
  const client = clientOf(peer.port)
  for (const [length, body] of [
    ['2', Readable.from([Buffer.from('abc')])],
    ['4', Readable.from([Buffer.from('abc')])],
    ['9', broken],
  ] as const) {
    const { fault } = await ask(client, {
      method: 'PUT',
      headers: ['content-length', length],
      body,
    })
    assert.deepEqual([fault?.kind, fault?.unsent], ['aborted', false])
  }
  assert.equal(client.stats().open, 0)
  client.destroy(new Error('the test is over'))
})

test('an answer that comes before the body is through ends its connection, and is whole', async (t) => {
  const peer = await rawPeer(({ socket, head }) => {
    if (head.startsWith('PUT')) socket.write(saying('enough'))
    else socket.write(saying('next'))
  })
  t.after(peer.close)
  const client = clientOf(peer.port)
  const body = new Readable({ read: () => {} })
  body.push('abc')
  assert.equal((await ask(client, { method: 'PUT', body })).body, 'enough')
  assert.equal(body.destroyed, false, 'it may be the request of a caller who is to get an answer')
  assert.equal((await ask(client)).body, 'next')
  assert.equal(peer.brought.length, 2)
  client.destroy(new Error('the test is over'))
})

test('who waits for a connection may leave, and does not wait for ever', async (t) => {
  const peer = await rawPeer(() => {})
  t.after(peer.close)
  const client = clientOf(peer.port, { maxConnections: 1, maxQueued: 2 })
  const first = ask(client, { path: '/held' })
  await until(() => peer.brought[0]?.endsWith('\r\n\r\n') === true, 'it is on the connection')
  let control: UpstreamControl | undefined
  const leaving = ask(client, { onStart: (given) => (control = given) })
  const waiting = ask(client, { headersTimeoutMs: 50 })
  const tooMany = await ask(client)
  assert.deepEqual([tooMany.fault?.kind, tooMany.fault?.unsent], ['busy', true])
  control?.abort(new Error('enough'))
  assert.deepEqual([(await leaving).fault?.kind, (await leaving).fault?.unsent], ['aborted', true])
  assert.deepEqual([(await waiting).fault?.kind, (await waiting).fault?.unsent], ['timeout', true])
  client.destroy(new Error('the test is over'))
  assert.equal((await first).fault?.kind, 'broken')
  assert.equal(peer.brought.length, 1)
})

test('where nobody can be reached, all that wait are told so', async () => {
  let dials = 0
  const client = h1Client({
    connect: async () => {
      dials += 1
      await sleep(5)
      return { ok: false, kind: 'unreachable', cause: new Error('nobody') }
    },
    limits: { maxConnections: 2 },
  })
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(client)))
  for (const { fault } of answers)
    assert.deepEqual([fault?.kind, fault?.unsent], ['unreachable', true])
  assert.ok(dials >= 2)
  await client.close()
})

test('a paused answer is held, end and all, until it is wanted again', async (t) => {
  for (const [by, answer] of [
    ['onread', saying('hello')],
    ['data', saying('hello')],
    ['onread', 'HTTP/1.1 200 OK\r\n\r\nhello'],
  ] as const) {
    const peer = await rawPeer(({ socket }) => {
      socket.write(answer)
      if (!answer.includes('length')) socket.end()
    })
    t.after(peer.close)
    const client = clientOf(peer.port, {}, by)
    let isPaused = true
    let control: UpstreamControl | undefined
    const asked = ask(client, {
      onHead: (given) => {
        control = given
        given.pause()
      },
      onData: () => assert.equal(isPaused, false),
    })
    await until(() => control !== undefined, 'a head')
    await sleep(30)
    isPaused = false
    control?.resume()
    assert.deepEqual([(await asked).body, (await asked).fault], ['hello', undefined])
    client.destroy(new Error('the test is over'))
  }
})

for (const by of ['onread', 'data'] as const)
  test(`a connection is read again after an answer whose end was held back (${by})`, async (t) => {
    const peer = await rawPeer(({ socket }) => void socket.write(saying('hello')))
    t.after(peer.close)
    const client = clientOf(peer.port, { maxConnections: 1 }, by)
    for (let i = 0; i < 3; i++) {
      const answer = await ask(client, {
        onData: (control) => {
          control.pause()
          setImmediate(control.resume)
        },
      })
      assert.deepEqual([answer.body, answer.fault], ['hello', undefined])
    }
    assert.equal(peer.brought.length, 1)
    client.destroy(new Error('the test is over'))
  })

test('what needs HTTP/2 is not sent', async (t) => {
  const peer = await rawPeer(({ socket }) => void socket.write(saying('hello')))
  t.after(peer.close)
  const client = clientOf(peer.port)
  const { fault } = await ask(client, { needsHttp2: true })
  assert.deepEqual([fault?.kind, fault?.unsent], ['no-http2', true])
  assert.deepEqual(peer.brought, [])
  client.destroy(new Error('the test is over'))
})
