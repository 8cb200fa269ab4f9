import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { problems, type Problem, type ProblemTag } from '#contract/problem'
import { replyProblem, replyProblemOnSocket, type Replied } from '#http/problem-reply'
import { runEdge } from './fixtures.ts'
import { dial, head } from './wire.ts'

let request: (req: IncomingMessage, res: ServerResponse) => void
let problem: Problem
let replied: Replied | undefined
const edge = await runEdge({
  doors: {
    request: (req, res) => request(req, res),
    upgrade: (_req, socket) => {
      replied = replyProblemOnSocket(socket, problem, 'id-1')
    },
    connect: (_req, socket) => {
      replied = replyProblemOnSocket(socket, problem)
    },
  },
})
after(() => edge.listener.close(0))

const refuseWith = (given: Problem) => {
  problem = given
  request = (_req, res) => {
    replied = replyProblem(res, given, 'id-1')
  }
}
const get = head('GET /a HTTP/1.1')
const upgrade = head('GET /a HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket')

suite('a refusal', () => {
  for (const [door, send] of [
    ['a request', get],
    ['an upgrade', upgrade],
  ] as const)
    test(`of ${door} says what, which and how to go on`, async () => {
      refuseWith({
        tag: 'rate-exceeded',
        detail: 'größer',
        cause: 'a secret',
        headers: { 'Retry-After': '3' },
      })
      const wire = await dial(edge.port)
      wire.write(send)
      const answer = await wire.answer()
      const body = Buffer.from(answer.body, 'latin1').toString('utf8')
      assert.equal(answer.status, 429)
      assert.deepEqual(JSON.parse(body), {
        type: 'urn:sallyport:problem:rate-exceeded',
        title: problems['rate-exceeded'].title,
        status: 429,
        detail: 'größer',
        decisionId: 'id-1',
      })
      for (const header of [
        'content-type: application/problem+json',
        'cache-control: no-store',
        'x-sallyport-problem: rate-exceeded',
        'x-sallyport-decision-id: id-1',
        'retry-after: 3',
      ])
        assert.ok(answer.head.toLowerCase().includes(`\r\n${header}`), header)
      assert.deepEqual(replied, { status: 429, bytesOut: answer.body.length })
      wire.destroy()
    })

  test('written in one piece says the same', async () => {
    const told: Problem[] = [
      { tag: 'token-missing', headers: { 'WWW-Authenticate': 'Bearer\r\nx-injected: 1' } },
      { tag: 'token-malformed', detail: 'größer' },
      { tag: 'path-invalid' },
    ]
    for (const sent of [
      get,
      head('HEAD /a HTTP/1.1'),
      head('GET /a HTTP/1.1', 'Connection: close'),
    ])
      for (const given of told) {
        const seen = []
        for (const nowMs of [undefined, Date.UTC(2026, 10, 26)]) {
          request = (_req, res) => {
            replied = replyProblem(res, given, 'id-1', nowMs)
          }
          const wire = await dial(edge.port)
          wire.write(sent)
          const text = await wire.until(sent.startsWith('HEAD') ? /\r\n\r\n$/ : /\}$/)
          wire.destroy()
          const lines = text
            .toLowerCase()
            .replace(/date: [^\r]+gmt/, 'date')
            .split('\r\n')
          seen.push([lines.toSorted(), replied])
        }
        assert.deepEqual(seen[1], seen[0], `${sent} ${given.tag}`)
      }
  })

  test('without a decision id has no such header', async () => {
    problem = { tag: 'policy-denied' }
    const wire = await dial(edge.port)
    wire.write(head('CONNECT a:1 HTTP/1.1'))
    assert.doesNotMatch(await wire.end(), /decision/i)
  })

  for (const [door, send] of [
    ['a request', get],
    ['an upgrade', upgrade],
  ] as const)
    test(`of ${door} cannot be made to say a header more`, async () => {
      refuseWith({ tag: 'token-missing', headers: { 'www-authenticate': 'a\r\nx-evil: 1\0ä' } })
      const wire = await dial(edge.port)
      wire.write(send)
      const { head } = await wire.answer()
      assert.match(head, /\r\nwww-authenticate: a\?\?x-evil: 1\?\?\r\n/i)
      wire.destroy()
    })

  test('leaves nothing of the answer that was being prepared', async () => {
    request = (_req, res) => {
      res.setHeader('set-cookie', 'a=b')
      replyProblem(res, { tag: 'internal' })
    }
    const wire = await dial(edge.port)
    wire.write(get)
    assert.doesNotMatch((await wire.answer()).head, /set-cookie/i)
    wire.destroy()
  })

  test('of a HEAD has no body', async () => {
    refuseWith({ tag: 'policy-denied' })
    const wire = await dial(edge.port)
    wire.write(head('HEAD /a HTTP/1.1', 'Connection: close'))
    assert.match(await wire.end(), /^HTTP\/1.1 403 [^]*\r\n\r\n$/)
    assert.equal(replied?.bytesOut, 0)
  })

  test('of a caller that has gone is not written', async () => {
    refuseWith({ tag: 'caller-gone' })
    for (const send of [get, upgrade]) {
      const wire = await dial(edge.port)
      wire.write(send)
      assert.equal(await wire.end(), '')
      assert.deepEqual(replied, { status: 499, bytesOut: 0 })
    }
  })

  test('never adds to an answer that has begun, but cuts it off', async () => {
    request = (_req, res) => {
      res.writeHead(200, { 'content-length': 100 })
      res.write('begun', () => {
        replied = replyProblem(res, { tag: 'upstream-broken' })
      })
    }
    const wire = await dial(edge.port)
    wire.write(get)
    assert.match(await wire.end(), /^HTTP\/1.1 200 [^]*begun$/)
    assert.deepEqual(replied, { status: 200, bytesOut: 0 })
  })
})

suite('the connection after a refusal', () => {
  const isKept = async (given: ProblemTag, send: string) => {
    refuseWith({ tag: given })
    const wire = await dial(edge.port)
    wire.write(send)
    const answer = await wire.answer()
    const kept = !/connection: close/i.test(answer.head)
    if (kept) {
      wire.write(get)
      await wire.answer()
      wire.destroy()
    } else await wire.end()
    return kept
  }
  for (const [tag, send, kept] of [
    ['token-missing', get, true],
    ['token-missing', head('POST /a HTTP/1.1', 'Content-Length: 0'), true],
    ['token-missing', `${head('POST /a HTTP/1.1', 'Content-Length: 500')}abc`, false],
    ['token-missing', head('POST /a HTTP/1.1', 'Transfer-Encoding: chunked'), false],
    ['header-invalid', get, false],
    ['draining', get, false],
  ] as const)
    test(`${kept ? 'goes on' : 'ends'}: ${tag}, ${send.split('\r\n\r\n')[0]?.replace(/\r\n/g, ', ')}`, async () => {
      assert.equal(await isKept(tag, send), kept)
    })
})
