import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SpiffeId } from '#contract/spiffe-id'
import { secret } from '#contract/secret'
import type { UpstreamClient, UpstreamControl } from '#http/upstream-client'
import type { Svid } from '#identity/svid/svid'
import { makeRoot, makeSvid, type MadeCertificate } from '../fakes/openssl.ts'
import { ask } from '../http/h2-client/ask.ts'

/** Where a client is to connect to, as whom, and who must be there. */
export type Target = { readonly endpoint: string; readonly expected: SpiffeId; readonly svid: Svid }

const service = 'spiffe://mesh.test/service' as SpiffeId
const impostor = 'spiffe://mesh.test/impostor' as SpiffeId
const gateway = 'spiffe://mesh.test/gateway' as SpiffeId

const svidOf = (certificate: MadeCertificate, root: MadeCertificate): Svid => ({
  spiffeId: gateway,
  certificateChain: certificate.pem,
  privateKey: secret(certificate.keyPem),
  bundle: root.pem,
  notBeforeMs: 0,
  notAfterMs: Number.MAX_SAFE_INTEGER,
})

/** What every client of an upstream promises, whatever it speaks: held against a server that speaks both. */
export const upstreamClientKeepsItsPromises = (
  name: string,
  open: (target: Target) => UpstreamClient,
): void => {
  suite(`${name} as a client of upstreams`, async () => {
    const root = makeRoot('mesh.test')
    const own = svidOf(makeSvid(root, gateway), root)
    const server = await startServer(makeSvid(root, service), root)
    const other = await startServer(makeSvid(root, impostor), root)
    after(() => Promise.all([server.close(), other.close()]))
    const opened: UpstreamClient[] = []
    const client = (endpoint = server.endpoint, expected = service) => {
      const made = open({ endpoint, expected, svid: own })
      opened.push(made)
      return made
    }
    after(() => {
      for (const made of opened) made.destroy(new Error('the test is over'))
    })
    const usual = client()

    test('an answer comes whole, without what is for the next hop alone', async () => {
      const { status, headers, body, fault } = await ask(usual, { path: '/hello' })
      assert.equal(fault, undefined)
      assert.deepEqual([status, body], [200, 'hello'])
      assert.ok(headers.includes('x-end-to-end'))
      for (const gone of ['connection', 'keep-alive', 'transfer-encoding'])
        assert.ok(!headers.includes(gone), gone)
    })

    test('the peer sees our certificate', async () => {
      assert.equal((await ask(usual, { path: '/peer' })).body, `URI:${gateway}`)
    })

    test('a body goes up as a Buffer and as a stream', async () => {
      const bytes = Buffer.alloc(300_000, 'x')
      for (const body of [bytes, Readable.from([bytes.subarray(0, 1000), bytes.subarray(1000)])]) {
        const headers = Buffer.isBuffer(body) ? ['content-length', String(body.length)] : []
        const answer = await ask(usual, { method: 'POST', path: '/count', headers, body })
        assert.equal(answer.fault, undefined)
        assert.equal(answer.body, '300000')
      }
    })

    test('answers without a body end: HEAD, 204, 304', async () => {
      assert.equal((await ask(usual, { method: 'HEAD', path: '/hello' })).body, '')
      for (const status of [204, 304])
        assert.equal((await ask(usual, { path: `/status/${status}` })).status, status)
    })

    test('many at once get each their own answer', async () => {
      const answers = await Promise.all(
        Array.from({ length: 60 }, (_, i) => ask(usual, { path: `/echo/${i}` })),
      )
      assert.deepEqual(
        answers.map(({ body }) => body),
        answers.map((_, i) => `/echo/${i}`),
      )
    })

    test('a peer that is somebody else gets nothing', async () => {
      const before = other.seen()
      const { fault } = await ask(client(other.endpoint, service))
      assert.equal(fault?.kind, 'identity-wrong')
      assert.equal(fault.unsent, true)
      assert.equal(other.seen(), before)
    })

    test('every connection is checked, not the first alone', async () => {
      const made = client(other.endpoint, service)
      for (let i = 0; i < 4; i += 1) {
        const { fault } = await ask(made)
        assert.ok(fault?.kind === 'identity-wrong' || fault?.kind === 'unreachable', fault?.kind)
      }
      assert.equal(other.seen(), 0)
    })

    test('a peer of another root gets nothing', async () => {
      const stranger = makeRoot('mesh.test')
      const foreign = await startServer(makeSvid(stranger, service), root)
      const { fault } = await ask(client(foreign.endpoint))
      await foreign.close()
      assert.equal(fault?.kind, 'identity-wrong')
    })

    test('nobody there is `unreachable`, and nothing was sent', async () => {
      const gone = await startServer(makeSvid(root, service), root)
      await gone.close()
      const { fault } = await ask(client(gone.endpoint))
      assert.deepEqual([fault?.kind, fault?.unsent], ['unreachable', true])
    })

    test('a peer that does not answer is a `timeout`', async () => {
      const { fault } = await ask(usual, { path: '/hang', headersTimeoutMs: 300 })
      assert.equal(fault?.kind, 'timeout')
    })

    test('a peer that falls silent in the middle is a `timeout`', async () => {
      const { status, fault } = await ask(usual, { path: '/stall', idleTimeoutMs: 300 })
      assert.deepEqual([status, fault?.kind], [200, 'timeout'])
    })

    test('an answer that breaks off is `broken`, never whole', async () => {
      const { status, fault } = await ask(usual, { path: '/break' })
      assert.deepEqual([status, fault?.kind], [200, 'broken'])
    })

    test('who asked may abort, before and after the head', async () => {
      const before = await ask(usual, {
        path: '/hang',
        onStart: ({ abort }) => void sleep(50).then(() => abort(new Error('enough'))),
      })
      assert.equal(before.fault?.kind, 'aborted')
      const within = await ask(usual, {
        path: '/stall',
        onData: ({ abort }) => abort(new Error('enough')),
      })
      assert.equal(within.fault?.kind, 'aborted')
    })

    test('who does not read holds the peer back', async () => {
      let received = 0
      let isReading = false
      let held: UpstreamControl | undefined
      const answer = ask(usual, {
        path: '/flood',
        onData: (control, chunk) => {
          received += chunk.length
          if (isReading) return
          held = control
          control.pause()
        },
      })
      await sleep(500)
      assert.ok(server.flooded() < floodBytes / 2, `${server.flooded()} bytes were let go`)
      isReading = true
      held?.resume()
      assert.equal((await answer).fault, undefined)
      assert.equal(received, floodBytes)
    })

    test('closing lets what is under way finish, and takes nothing more', async () => {
      const made = client()
      const slow = ask(made, { path: '/slow' })
      await sleep(50)
      const closed = made.close()
      const { fault } = await ask(made, { path: '/hello' })
      assert.deepEqual([fault?.kind, fault?.unsent], ['unreachable', true])
      assert.equal((await slow).body, 'slow')
      await closed
    })
  })
}

type Handler = (req: Http2ServerRequest, res: Http2ServerResponse) => void

const floodBytes = 64 * 1024 * 1024

/** A server that speaks HTTP/2 and HTTP/1.1, and demands a certificate. */
const startServer = async (own: MadeCertificate, root: MadeCertificate) => {
  let seen = 0
  let flooded = 0
  const handlers: Record<string, Handler> = {
    '/hello': (_req, res) => void res.writeHead(200, { 'x-end-to-end': 'yes' }).end('hello'),
    '/peer': (req, res) =>
      void res.end(
        (req.socket as unknown as { getPeerCertificate: () => { subjectaltname: string } })
          .getPeerCertificate()
          .subjectaltname.split(', ')[0] ?? '',
      ),
    '/count': async (req, res) => {
      let bytes = 0
      for await (const chunk of req as AsyncIterable<Buffer>) bytes += chunk.length
      res.end(String(bytes))
    },
    '/hang': () => {},
    '/stall': (_req, res) => void res.write('part'),
    '/break': (req, res) => {
      res.write('part')
      setTimeout(() => (req.stream ?? req.socket).destroy(), 50)
    },
    '/slow': (_req, res) => void setTimeout(() => res.end('slow'), 300),
    '/flood': async (_req, res) => {
      flooded = 0
      const chunk = Buffer.alloc(65_536)
      for (; flooded < floodBytes; flooded += chunk.length)
        if (!res.write(chunk)) await once(res, 'drain')
      res.end()
    },
  }
  const server = createSecureServer(
    {
      allowHTTP1: true,
      cert: own.pem,
      key: own.keyPem,
      ca: root.pem,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (req, res) => {
      seen += 1
      const { url } = req
      if (url.startsWith('/echo/')) res.end(url)
      else if (url.startsWith('/status/')) res.writeHead(Number(url.slice(8))).end()
      else handlers[url]?.(req, res)
    },
  )
  const sockets = new Set<{ destroy: () => void }>()
  server.on('secureConnection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  server.on('sessionError', () => {})
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  return {
    endpoint: `https://127.0.0.1:${port}`,
    seen: () => seen,
    flooded: () => flooded,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
