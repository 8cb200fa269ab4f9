import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, ServerResponse, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { after, suite, test } from 'node:test'
import type { CallerResponse } from '#http/caller'
import { headerLines } from '#http/header-lines'
import { wholeAnswers } from '#http/whole-answer'

const limits = { keepAliveTimeoutMs: 5000, maxRequestsPerConnection: 3 }
const lines = 'content-type: text/plain\r\nDate: Thu, 26 Nov 2026 12:00:00 GMT\r\n'
const headers = ['content-type', 'text/plain', 'Date', 'Thu, 26 Nov 2026 12:00:00 GMT']

/** Everything that a server with such responses says to what is sent to it, until it ends the connection. */
const serving = async (
  Response: typeof ServerResponse,
  answer: (res: ServerResponse, req: IncomingMessage) => void,
) => {
  const server = createServer({ ServerResponse: Response }, (req, res) => answer(res, req))
  server.keepAliveTimeout = limits.keepAliveTimeoutMs
  server.maxRequestsPerSocket = limits.maxRequestsPerConnection
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  return {
    close: () => server.close(),
    said: async (sent: string): Promise<string> => {
      const socket = connect(port, '127.0.0.1')
      socket.end(sent)
      let said = ''
      for await (const chunk of socket) said += (chunk as Buffer).toString('latin1')
      return said
    },
  }
}

suite('a whole answer', async () => {
  const Whole = wholeAnswers(limits)
  const taken: boolean[] = []
  let finished = 0
  const whole = await serving(Whole, (res) => {
    res.on('finish', () => finished++)
    const isTaken = (res as unknown as CallerResponse).endWhole?.(200, lines, 'hëllo') ?? false
    taken.push(isTaken)
    if (!isTaken) res.writeHead(200, headers).end('hëllo', 'latin1')
  })
  const usual = await serving(ServerResponse, (res) =>
    res.writeHead(200, [...headers, 'content-length', '5']).end('hëllo', 'latin1'),
  )
  after(() => {
    whole.close()
    usual.close()
  })
  const get = 'GET / HTTP/1.1\r\nHost: a\r\n'

  test('is what Node would write, one after the other on a connection', async () => {
    taken.length = 0
    finished = 0
    for (const sent of [
      `${get}\r\n`,
      `${get}\r\n${get}\r\n`,
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab${get}\r\n`,
    ]) {
      const said = await whole.said(sent)
      assert.equal(said, await usual.said(sent))
      assert.match(said, /Keep-Alive: timeout=5, max=3\r\n/)
    }
    assert.deepEqual(taken, [true, true, true, true, true])
    assert.equal(finished, 5)
  })

  test('is not given where the answer must be another', async () => {
    const others = [
      'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n',
      `${get}Connection: close\r\n\r\n`,
      'GET / HTTP/1.0\r\nHost: a\r\n\r\n',
    ]
    for (const sent of others) {
      taken.length = 0
      const said = await whole.said(sent)
      assert.deepEqual(taken, [false], sent)
      assert.match(said, /^HTTP\/1\.1 200 OK\r\n/)
      assert.equal(/keep-alive/i.test(said), sent.startsWith('HEAD'))
    }
  })

  test('is not given with a status that has no body, nor twice', async () => {
    const seen: (boolean | undefined)[] = []
    const server = await serving(Whole, (res) => {
      const give = (status: number) =>
        seen.push((res as unknown as CallerResponse).endWhole?.(status, lines, 'a'))
      for (const status of [100, 101, 204, 304, 404, 200]) give(status)
    })
    const said = await server.said(`${get}\r\n`)
    server.close()
    assert.deepEqual(seen, [false, false, false, false, true, false])
    assert.match(said, /^HTTP\/1\.1 404 Not Found\r\n/)
    assert.equal(said.split('HTTP/1.1').length, 2)
  })
})

suite('lines of headers', () => {
  test('are as they go out, less the length', () => {
    assert.deepEqual(headerLines(['content-type', 'a/b', 'content-length', '3', 'x', 'ä']), {
      text: 'content-type: a/b\r\nx: ä\r\n',
      hasDate: false,
    })
    assert.equal(headerLines(['date', 'now'])?.hasDate, true)
  })

  test('there are none of what must not go out as it is', () => {
    const unfit = [
      ['transfer-encoding', 'chunked'],
      ['connection', 'close'],
      ['trailer', 'x'],
      ['keep-alive', '1'],
      ['upgrade', 'x'],
      ['x', 'a\r\nb: c'],
      ['x', 'a\nb'],
      ['x', '\u0000'],
      ['x', 'Ā'],
      ['x y', 'a'],
      ['x:', 'a'],
      ['', 'a'],
    ]
    for (const pair of unfit)
      assert.equal(headerLines(['a', 'b', ...pair]), undefined, JSON.stringify(pair))
  })
})
