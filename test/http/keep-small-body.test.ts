import assert from 'node:assert/strict'
import type { Readable } from 'node:stream'
import { after, afterEach, test } from 'node:test'
import { bodyOf, defaultBodyLimits, type Body } from '#http/body'
import { replyProblem } from '#http/problem-reply'
import { runEdge } from './fixtures.ts'
import { dial, head, type RawAnswer } from './wire.ts'

const maxSmallBytes = 100
/** Resolves when the handler has waited for what is small. */
let kept = Promise.withResolvers<void>()

const edge = await runEdge({
  doors: {
    request: async (req, res) => {
      const body = bodyOf(req, res, { ...defaultBodyLimits, maxBodyBytes: 200 })
      const waiting = body.keepSmall(maxSmallBytes)
      await waiting
      kept.resolve()
      const told = await tellOf(body)
      const problem = body.fault()
      if (problem) return void replyProblem(res, problem)
      const text = `${waiting ? 'waited' : 'went on'}, ${told}`
      res.writeHead(200, { 'content-length': text.length }).end(text)
    },
    upgrade: (_req, socket) => void socket.destroy(),
    connect: (_req, socket) => void socket.destroy(),
  },
})
after(() => edge.listener.close(0))
afterEach(() => {
  kept = Promise.withResolvers()
})

const tellOf = async (body: Body): Promise<string> => {
  const taken = body.take()
  if (taken === null) return 'none'
  if (Buffer.isBuffer(taken)) return `in one piece: ${taken.toString()}`
  return readAll(taken).then(
    (text) => `streamed: ${text}`,
    () => 'broken off',
  )
}
const readAll = async (stream: Readable): Promise<string> =>
  Buffer.concat(await stream.toArray()).toString()

const post = (length: number, ...more: string[]) =>
  head('POST /a HTTP/1.1', `Content-Length: ${length}`, ...more)
const chunkedPost = head('POST /a HTTP/1.1', 'Transfer-Encoding: chunked')
/** Each further part goes out once nobody waits for it any more. */
const answerTo = async (...parts: readonly string[]): Promise<RawAnswer> => {
  const wire = await dial(edge.port)
  for (const [at, part] of parts.entries()) {
    if (at > 0) await kept.promise
    wire.write(part)
  }
  const answer = await wire.answer()
  wire.destroy()
  return answer
}
const bodyOfAnswer = async (...parts: readonly string[]) => (await answerTo(...parts)).body

test('a body that comes along with its head is taken in one piece', async () => {
  assert.match(await bodyOfAnswer(`${post(5)}hello`), /waited, in one piece: hello$/)
})

test('so is one of unknown length that ends along with it', async () => {
  assert.match(
    await bodyOfAnswer(`${chunkedPost}5\r\nhello\r\n0\r\n\r\n`),
    /waited, in one piece: hello$/,
  )
})

test('nobody waits for what comes later: it is streamed, what came before it first', async () => {
  assert.match(await bodyOfAnswer(`${post(10)}hello`, 'world'), /waited, streamed: helloworld$/)
  kept = Promise.withResolvers()
  assert.match(await bodyOfAnswer(post(5), 'world'), /waited, streamed: world$/)
  kept = Promise.withResolvers()
  assert.match(
    await bodyOfAnswer(`${chunkedPost}5\r\nhello\r\n`, '5\r\nworld\r\n0\r\n\r\n'),
    /waited, streamed: helloworld$/,
  )
})

test('of a body that says itself that it is longer nothing is kept', async () => {
  const long = 'x'.repeat(maxSmallBytes + 1)
  assert.match(await bodyOfAnswer(`${post(long.length)}${long}`), /went on, streamed: x{101}$/)
})

test('of one of unknown length no more than that is kept', async () => {
  const long = `${(maxSmallBytes + 1).toString(16)}\r\n${'x'.repeat(maxSmallBytes + 1)}\r\n0\r\n\r\n`
  assert.match(await bodyOfAnswer(chunkedPost + long), /waited, (?:streamed|in one piece): x{101}$/)
})

test('a request without a body goes on at once', async () => {
  assert.match(await bodyOfAnswer(head('GET /a HTTP/1.1')), /went on, none$/)
})

test('a caller that waits to be asked for its body is asked by whoever takes it', async () => {
  const wire = await dial(edge.port)
  wire.write(post(5, 'Expect: 100-continue'))
  await wire.until(/100 Continue/)
  wire.write('hello')
  await wire.until(/went on, streamed: hello$/)
  wire.destroy()
})

test('what is wrong with a body is found where it is taken', async () => {
  const broken = await answerTo(`${chunkedPost}5\r\nhello\r\nzz\r\n`)
  assert.equal(broken.status, 400)
  kept = Promise.withResolvers()
  const tooLong = await answerTo(`${chunkedPost}c9\r\n${'x'.repeat(201)}\r\n0\r\n\r\n`)
  assert.equal(tooLong.status, 413)
})

test('the next request on the connection is answered', async () => {
  const wire = await dial(edge.port)
  wire.write(`${post(5)}hello${post(5)}again`)
  await wire.until(/in one piece: hello[^]*in one piece: again$/)
  wire.destroy()
})
