import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import fc from 'fast-check'
import { ask } from '../h2-client/ask.ts'
import { clientOf, rawPeer } from './raw-peer.ts'

/** What Node's own client reads; undefined if it finds fault. What comes behind an answer is none of its fault. */
const readByNode = (port: number, method: string): Promise<[number, string] | undefined> =>
  new Promise((resolve) => {
    let isAnswered = false
    request({ port, host: '127.0.0.1', method, agent: false, headers: { host: 'peer.test' } })
      .on('error', () => {
        if (!isAnswered) resolve(undefined)
      })
      .on('response', (answer) => {
        isAnswered = true
        const chunks: Buffer[] = []
        answer.on('error', () => {})
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.on('close', () =>
          resolve(
            answer.complete
              ? [answer.statusCode ?? 0, Buffer.concat(chunks).toString('latin1')]
              : undefined,
          ),
        )
      })
      .end()
  })

const statusLines = [200, 204, 304, 404, 103].map((status) => `HTTP/1.1 ${status} Text\r\n`)
const fields = [
  'content-length: 3\r\n',
  'Content-Length: 03\r\n',
  'content-length: 0\r\n',
  'transfer-encoding: chunked\r\n',
  'Transfer-Encoding:chunked \r\n',
  'transfer-encoding: identity\r\n',
  'connection: close\r\n',
  'x: y\r\n',
  'x : y\r\n',
  ' folded\r\n',
  'x: y\n',
]
const bodies = [
  'abc',
  'abcd',
  '3\r\nabc\r\n0\r\n\r\n',
  '3;x\r\nabc\r\n0\r\na: b\r\n\r\n',
  '3 \r\nabc\r\n00\r\n\r\n',
  '3\nabc\n0\n\n',
  '',
]

test('what is read as whole is what others read', async (t) => {
  let octets = ''
  const peer = await rawPeer(({ socket }) => void socket.end(octets, 'latin1'))
  t.after(peer.close)
  const client = clientOf(peer.port)
  let whole = 0
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('GET', 'HEAD', 'DELETE'),
      fc.constantFrom('HTTP/1.0 200 OK\r\n', ...statusLines),
      fc.array(fc.constantFrom(...fields), { maxLength: 3 }),
      fc.constantFrom(...bodies),
      async (method, line, some, body) => {
        octets = `${line}${some.join('')}\r\n${body}`
        const ours = await ask(client, { method })
        if (ours.fault !== undefined) return
        whole += 1
        assert.deepEqual([ours.status, ours.body], await readByNode(peer.port, method))
      },
    ),
    { numRuns: 400 },
  )
  assert.ok(whole > 40, `${whole} whole`)
  client.destroy(new Error('the test is over'))
})
