import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttp1Server } from 'node:https'
import { createSecureServer } from 'node:http2'
import type { AddressInfo, Server } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { secret } from '#contract/secret'
import type { SpiffeId } from '#contract/spiffe-id'
import { negotiatedClient } from '#gateway/upstream/negotiated-client'
import type { UpstreamClient } from '#http/upstream-client'
import type { Svid } from '#identity/svid/svid'
import { makeRoot, makeSvid } from '../../fakes/openssl.ts'
import { ask } from '../../http/h2-client/ask.ts'
import { upstreamClientKeepsItsPromises } from '../../ports/upstream-client.ts'

const limits = { maxConnections: 32, connectTimeoutMs: 2000 }
upstreamClientKeepsItsPromises('whatever a peer chooses', (target) =>
  negotiatedClient({ ...target, ...limits, protocol: 'auto' }),
)

const service = 'spiffe://mesh.test/service' as SpiffeId
const root = makeRoot('mesh.test')
const own = makeSvid(root, service)
const svid: Svid = {
  spiffeId: 'spiffe://mesh.test/gateway' as SpiffeId,
  certificateChain: own.pem,
  privateKey: secret(own.keyPem),
  bundle: root.pem,
  notBeforeMs: 0,
  notAfterMs: Number.MAX_SAFE_INTEGER,
}
const tls = { cert: own.pem, key: own.keyPem, ca: root.pem, requestCert: true }

/** Speaks one protocol alone and answers with its name; `port` 0 for a free one. */
const speaker = async (protocol: 'h2' | 'http/1.1', port = 0) => {
  const sockets = new Set<{ destroy: () => void }>()
  const server: Server =
    protocol === 'h2'
      ? createSecureServer(tls, (req, res) => answer(req.httpVersion, res))
      : createHttp1Server(tls, (req, res) => answer(req.httpVersion, res))
  const answer = (version: string, res: { end: (text: string) => void }) => res.end(version)
  server.on('secureConnection', (socket) => sockets.add(socket))
  await once(server.listen(port, '127.0.0.1'), 'listening')
  const listening = (server.address() as AddressInfo).port
  return {
    port: listening,
    endpoint: `https://127.0.0.1:${listening}`,
    connections: () => sockets.size,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

suite('what is spoken to an upstream', () => {
  let h2: Awaited<ReturnType<typeof speaker>>
  let http1: Awaited<ReturnType<typeof speaker>>
  const opened: UpstreamClient[] = []
  const client = (endpoint: string, protocol: 'auto' | 'h2' | 'http1') => {
    const made = negotiatedClient({ endpoint, expected: service, svid, ...limits, protocol })
    opened.push(made)
    return made
  }
  before(async () => {
    h2 = await speaker('h2')
    http1 = await speaker('http/1.1')
  })
  after(async () => {
    for (const made of opened) made.destroy(new Error('the test is over'))
    await Promise.all([h2.close(), http1.close()])
  })

  test('`auto` is HTTP/2 where it is offered, on one connection', async () => {
    const before = h2.connections()
    const made = client(h2.endpoint, 'auto')
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(made)))
    assert.deepEqual(new Set(answers.map(({ body }) => body)), new Set(['2.0']))
    assert.equal(h2.connections() - before, 1)
    assert.deepEqual(made.stats(), { open: 1, connecting: 0, inFlight: 0, queued: 0 })
  })

  test('`auto` is HTTP/1.1 where that is all, and those that waited notice nothing', async () => {
    const made = client(http1.endpoint, 'auto')
    let started = 0
    const onStart = () => {
      started += 1
    }
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => ask(made, { method: 'POST', body: bytes(), onStart })),
    )
    assert.deepEqual(new Set(answers.map(({ body }) => body)), new Set(['1.1']))
    assert.equal(started, 20)
    assert.equal((await ask(made)).body, '1.1')
  })

  test('one that waits for the choice may abort, before it and after', async () => {
    const made = client(http1.endpoint, 'auto')
    const aborted = ask(made, { onStart: ({ abort }) => queueMicrotask(() => abort(enough)) })
    const later = ask(made, { onStart: ({ abort }) => void setTimeout(() => abort(enough), 0) })
    assert.equal((await aborted).fault?.kind, 'aborted')
    const { fault, body } = await later
    assert.ok(fault?.kind === 'aborted' || body === '1.1')
  })

  test('`h2` does not take less', async () => {
    const { fault } = await ask(client(http1.endpoint, 'h2'))
    assert.deepEqual([fault?.kind, fault?.unsent], ['unreachable', true])
  })

  test('`http1` does not take more', async () => {
    const { fault } = await ask(client(h2.endpoint, 'http1'))
    assert.ok(fault, 'it was answered')
  })

  test('a sidecar that comes back with HTTP/1.1 alone is spoken to in that', async () => {
    const first = await speaker('h2')
    const made = client(first.endpoint, 'auto')
    assert.equal((await ask(made)).body, '2.0')
    await first.close()
    const second = await speaker('http/1.1', first.port)
    let answer = await ask(made)
    for (let tries = 0; answer.fault && tries < 50; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 20))
      answer = await ask(made)
    }
    assert.equal(answer.body, '1.1')
    await second.close()
  })

  test('closing while the choice is being made lets what waits finish', async () => {
    const made = client(http1.endpoint, 'auto')
    const waiting = ask(made)
    const closed = made.close()
    assert.equal((await waiting).body, '1.1')
    await closed
    assert.equal((await ask(made)).fault?.kind, 'unreachable')
  })
})

const enough = new Error('enough')
const bytes = () => Buffer.from('a body')
