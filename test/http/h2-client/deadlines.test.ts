import assert from 'node:assert/strict'
import { PassThrough, Readable } from 'node:stream'
import { test } from 'node:test'
import { newConnection } from '#http/h2-client/connection'
import { checkDeadlines } from '#http/h2-client/deadlines'
import { newExchange } from '#http/h2-client/exchange'
import { flush } from '#http/h2-client/flush'
import {
  answerDecoder,
  answerLimits,
  defaultLimits,
  type H2Limits,
} from '#http/h2-client/h2-client'
import { requestEncoder } from '#http/h2-client/request-head'
import { startStream } from '#http/h2-client/streams'
import { ask, clientOf, until } from './ask.ts'
import {
  answer,
  data,
  headers,
  scriptedPeer,
  type Script,
  settings,
  status200,
} from './scripted-peer.ts'

type Scope = { after: (done: () => Promise<void>) => void }
const start = async (t: Scope, script: Script, limits: Partial<H2Limits> = {}) => {
  const peer = await scriptedPeer(script)
  const client = clientOf(peer.port, { firstBackoffMs: 1, ...limits })
  t.after(async () => {
    client.destroy(new Error('the test is over'))
    await peer.close()
  })
  return { peer, client }
}
const cancel = 8

test('no head in time: a timeout, the stream is reset, the connection goes on', async (t) => {
  const { peer, client } = await start(t, {
    onRequest: (connection, id) => void (id > 1 && connection.send(answer(id))),
  })
  const { fault } = await ask(client, { headersTimeoutMs: 50 })
  assert.equal(fault?.kind, 'timeout')
  assert.equal(fault?.unsent, false)
  assert.equal((await ask(client)).body, 'answer 3')
  assert.equal(peer.connections[0]?.resets.get(1), cancel)
})

test('after a long rest a request with a body has all its time', () => {
  const seen: unknown[] = []
  const handler = {
    onStart: () => {},
    onHead: () => {},
    onData: () => {},
    onEnd: () => {},
    onError: (fault: unknown) => void seen.push(fault),
  }
  const request = {
    method: 'POST',
    path: '/',
    authority: 'peer.test',
    headers: ['content-length', '1'],
    body: Buffer.from('x'),
    headersTimeoutMs: 1000,
    idleTimeoutMs: 1000,
  }
  const events = { room: () => {}, resend: () => {}, proved: () => {}, gone: () => {} }
  const connection = newConnection(
    new PassThrough(),
    { ...defaultLimits, settingsTimeoutMs: Infinity },
    answerDecoder(answerLimits),
    events,
    0,
  )
  const restedMs = 1_000_000
  const exchange = newExchange(request, requestEncoder('https')(request), handler, restedMs)
  startStream(connection, exchange, restedMs)
  flush(connection)
  assert.equal(exchange.upload?.sentBytes, 1, 'the body was not sent: nothing is tested')
  checkDeadlines(connection, restedMs + 1000)
  assert.deepEqual(seen, [])
  checkDeadlines(connection, restedMs + 1001)
  assert.equal(seen.length, 1)
})

test('1xx answers do not put off the deadline', async (t) => {
  const { client } = await start(t, {
    onRequest: (connection, id) => {
      const timer = setInterval(() => connection.send(headers(id, '\x08\x03103')), 20)
      connection.socket.on('close', () => clearInterval(timer))
    },
  })
  const { fault, informational } = await ask(client, { headersTimeoutMs: 80 })
  assert.equal(fault?.kind, 'timeout')
  assert.ok(informational.length > 0)
})

test('an answer that comes to a halt is a timeout, one that goes on is not', async (t) => {
  const { client } = await start(t, {
    onRequest: (connection, id) => {
      connection.send(headers(id, status200))
      let left = id === 1 ? 3 : 15
      const timer = setInterval(() => {
        if (left-- > 0) connection.send(data(id, 'x', id === 3 && left === 0))
        else clearInterval(timer)
      }, 20)
    },
  })
  const [halts, goesOn] = await Promise.all([
    ask(client, { idleTimeoutMs: 150 }),
    ask(client, { idleTimeoutMs: 150 }),
  ])
  assert.equal(halts.fault?.kind, 'timeout')
  assert.equal(halts.body, 'xxx')
  assert.equal(goesOn.fault, undefined)
})

test('time in which the reader has paused does not count', async (t) => {
  const { client } = await start(t, {
    onRequest: (connection, id) => {
      connection.send(headers(id, status200) + data(id, 'a', false))
      setTimeout(() => connection.send(data(id, 'b')), 350)
    },
  })
  const { body, fault } = await ask(client, {
    idleTimeoutMs: 120,
    onHead: (control) => {
      control.pause()
      setTimeout(() => control.resume(), 330)
    },
  })
  assert.equal(fault, undefined)
  assert.equal(body, 'ab')
})

test('time in which the body of the request does not come does not count', async (t) => {
  const { client } = await start(t, {
    onFrame: (connection, { type, flags, streamId }) => {
      if (type === 0 && (flags & 1) !== 0) connection.send(answer(streamId))
    },
  })
  const body = new Readable({ read: () => {} })
  body.push('a beginning')
  setTimeout(() => body.push(null), 350)
  const { fault } = await ask(client, { method: 'POST', body, headersTimeoutMs: 120 })
  assert.equal(fault, undefined)
})

test('a request that waits for a connection has its deadline too, and is unsent', async (t) => {
  const { client } = await start(t, {}, { maxInFlight: 1, maxConnections: 1 })
  void ask(client)
  await until(() => client.stats().inFlight === 1, 'a connection')
  const { fault } = await ask(client, { headersTimeoutMs: 50 })
  assert.equal(fault?.kind, 'timeout')
  assert.equal(fault?.unsent, true)
})

test('a peer that does not answer a PING is given up', async (t) => {
  const { peer, client } = await start(t, {}, { pingAfterMs: 120 })
  const { fault } = await ask(client)
  assert.equal(fault?.kind, 'broken')
  assert.ok(peer.connections[0]?.frames.some(({ type }) => type === 6))
})

test('a peer that answers PINGs may take its time', async (t) => {
  let pings = 0
  const { client } = await start(
    t,
    {
      onRequest: (connection, id) => void setTimeout(() => connection.send(answer(id)), 900),
      onFrame: (connection, { type, payload }) => {
        if (type !== 6) return
        pings++
        connection.send(`\0\0\x08\x06\x01\0\0\0\0${payload.toString('latin1')}`)
      },
    },
    { pingAfterMs: 120 },
  )
  assert.equal((await ask(client)).fault, undefined)
  assert.ok(pings >= 2, `${pings} PINGs`)
})

test('a peer that never sends its settings, or never acknowledges ours, is given up', async (t) => {
  for (const greeting of ['', settings()]) {
    const { peer, client } = await start(
      t,
      { greeting, acknowledges: false },
      { settingsTimeoutMs: 50 },
    )
    assert.equal((await ask(client)).fault?.kind, 'broken')
    await until(() => peer.connections[0]?.goaway !== undefined, 'GOAWAY')
    assert.equal(peer.connections[0]?.goaway, 4)
  }
})
