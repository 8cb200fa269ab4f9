import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect as connectTcp, type Socket } from 'node:net'
import { test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { type Connect, h2Client } from '#http/h2-client/h2-client'
import { tls, tlsFile } from '../../conformance/h2-client/peers/real-peer.ts'
import { ask, tcp, until } from './ask.ts'
import { answer, scriptedPeer, settings } from './scripted-peer.ts'

test('a TLS peer that does not agree on h2 is unreachable, and nothing is written to it', async () => {
  let received = 0
  const server = createTlsServer({
    key: tlsFile('server.key.pem'),
    cert: tlsFile('server.pem'),
    ALPNProtocols: ['http/1.1'],
  })
  server.on('secureConnection', (socket) => {
    socket.on('data', (bytes) => (received += bytes.length)).on('error', () => {})
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = h2Client({ connect: tls((server.address() as AddressInfo).port) })
  const { fault } = await ask(client)
  assert.equal(fault?.kind, 'unreachable')
  assert.equal(fault?.unsent, true)
  assert.equal(received, 0)
  await client.close()
  server.close()
})

test('a TLS peer without ALPN is unreachable', async () => {
  const server = createTlsServer({ key: tlsFile('server.key.pem'), cert: tlsFile('server.pem') })
  server.on('secureConnection', (socket) => void socket.on('error', () => {}))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = h2Client({ connect: tls((server.address() as AddressInfo).port) })
  assert.equal((await ask(client)).fault?.kind, 'unreachable')
  await client.close()
  server.close()
})

/** Hands the socket over only after the peer has spoken. */
const slowly =
  (port: number): Connect =>
  async (wishes) => {
    const connected = await tcp(port)(wishes)
    await new Promise((resolve) => setTimeout(resolve, 50))
    return connected
  }

test('what a peer says while its identity is still being verified is not lost', async (t) => {
  const peer = await scriptedPeer({ onRequest: (connection, id) => connection.send(answer(id)) })
  t.after(peer.close)
  const client = h2Client({ connect: slowly(peer.port), scheme: 'http' })
  assert.equal((await ask(client)).body, 'answer 1')
  await client.close()
})

test('a peer that says too much before its identity is verified is cut off', async (t) => {
  const peer = await scriptedPeer({ greeting: settings() + '\0\0\0\xaa\0\0\0\0\0'.repeat(10_000) })
  t.after(peer.close)
  const client = h2Client({ connect: slowly(peer.port), scheme: 'http' })
  const { fault } = await ask(client)
  assert.ok(fault)
  assert.equal(peer.connections[0]?.streams.length, 0)
  await client.close()
})

test('a socket that comes after the time for it is destroyed', async (t) => {
  const peer = await scriptedPeer({})
  t.after(peer.close)
  let late: Socket | undefined
  const client = h2Client({
    connect: async () => {
      await new Promise((resolve) => setTimeout(resolve, 60))
      late = connectTcp(peer.port, '127.0.0.1')
      return { ok: true, socket: late }
    },
    limits: { connectTimeoutMs: 20 },
  })
  assert.equal((await ask(client)).fault?.kind, 'timeout')
  await until(() => late?.destroyed === true, 'the socket to be destroyed')
  await client.close()
})
