import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request, type ServerResponse as Response } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { after, suite, test } from 'node:test'
import { markFault } from '#http/socket-fault'
import { wholeAnswers } from '#http/whole-answer'
import { answerWriter, type AnswerOut } from '#gateway/ingress/answer-out'

suite('an answer on its way to the caller', async () => {
  let serve: (res: Response) => void | Promise<void> = () => {}
  const ServerResponse = wholeAnswers({ keepAliveTimeoutMs: 5000, maxRequestsPerConnection: 0 })
  const server = createServer({ ServerResponse }, (_req, res) => void serve(res))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  after(() => server.close())
  const { port } = server.address() as AddressInfo
  const answerOut = answerWriter(Date.now)

  /** What the caller gets of what `say` says, and in how many writes it went to the socket. */
  const heard = async (say: (out: AnswerOut, res: Response) => void | Promise<void>) => {
    let writes = 0
    let out: AnswerOut | undefined
    const broken: unknown[] = []
    serve = async (res) => {
      const { socket } = res
      assert.ok(socket)
      const write = socket.write.bind(socket)
      socket.write = ((...args: Parameters<typeof write>) => {
        writes += 1
        return write(...args)
      }) as typeof write
      out = answerOut(res, (cause) => {
        broken.push(cause)
        res.destroy()
      })
      await say(out, res)
    }
    const req = request({ port, host: '127.0.0.1', agent: false })
    req.end()
    const [res] = await once(req, 'response').catch(() => [undefined])
    const chunks: Buffer[] = []
    for await (const chunk of res ?? []) chunks.push(chunk)
    return {
      status: res?.statusCode,
      headers: res?.headers,
      body: Buffer.concat(chunks),
      writes,
      bytesOut: out?.bytesOut(),
      broken,
    }
  }
  const ours = (headers: readonly string[]) => ({ theirs: [], ours: headers })
  const lengthOf = (bytes: Buffer) => ['content-length', String(bytes.length)]

  test('that is whole within a turn leaves in one write, byte for byte', async () => {
    const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
    const got = await heard(async (out) => {
      out.head(200, ours(lengthOf(every)))
      assert.equal(out.data(every), true)
      out.end()
      await turn()
    })
    assert.deepEqual([got.status, got.body, got.writes], [200, every, 1])
    assert.equal(got.bytesOut, 256)
  })

  test('says what the service says in the same words as ever, and what is ours', async () => {
    const body = Buffer.from('{}')
    const said = ['content-type', 'application/json', 'content-length', '2', 'set-cookie', 'a=1']
    const lists = [Object.freeze([...said, 'set-cookie', 'b=2']), [...said, 'set-cookie', 'b=2']]
    for (const theirs of [...lists, ...lists]) {
      const got = await heard(async (out) => {
        out.head(200, { theirs, ours: ['x-ours', '1'] })
        out.data(body)
        out.end()
        await turn()
      })
      const { date, ...headers } = got.headers ?? {}
      assert.ok(Math.abs(Date.parse(String(date)) - Date.now()) < 60_000)
      assert.deepEqual(headers, {
        'content-type': 'application/json',
        'content-length': '2',
        'set-cookie': ['a=1', 'b=2'],
        'x-ours': '1',
        connection: 'close',
      })
      assert.deepEqual([got.writes, got.body, got.broken], [1, body, []])
    }
  })

  test('without a body is as whole as any', async () => {
    const { status, body } = await heard((out) => {
      out.head(204, ours([]))
      out.end()
    })
    assert.deepEqual([status, body.length], [204, 0])
  })

  test('keeps its order however it comes: at once, in turns, large and small', async () => {
    const chunks = ['a', 'b'.repeat(20_000), 'c', 'd'.repeat(100_000), 'e'].map((text) =>
      Buffer.from(text),
    )
    for (const pauses of [[], [0], [1], [0, 1, 2, 3, 4]]) {
      const { body, bytesOut } = await heard(async (out) => {
        out.head(200, ours(lengthOf(Buffer.concat(chunks))))
        for (const [i, chunk] of chunks.entries()) {
          if (pauses.includes(i)) await turn()
          out.data(chunk)
        }
        out.end()
        await turn()
      })
      assert.ok(body.equals(Buffer.concat(chunks)), `pauses before ${pauses.join()}`)
      assert.equal(bytesOut, 120_003)
    }
  })

  test('that is long alone is written whole, too', async () => {
    const long = Buffer.alloc(70_000, 'x')
    const { body } = await heard((out) => {
      out.head(200, ours(lengthOf(long)))
      out.data(long)
      out.end()
    })
    assert.ok(body.equals(long))
  })

  test('gives way to a refusal that comes before it went out', async () => {
    const { status, body, bytesOut } = await heard(async (out, res) => {
      out.head(200, ours(['content-length', '10']))
      out.data(Buffer.from('half'))
      res.writeHead(502, ['content-length', '3']).end('no!')
      await turn()
    })
    assert.deepEqual([status, body.toString(), bytesOut], [502, 'no!', 0])
  })

  test('does not go out where its caller was told otherwise on the connection', async () => {
    const said = 'HTTP/1.1 400 Bad Request\r\ncontent-length: 3\r\nconnection: close\r\n\r\nno!'
    for (const theirs of [[], Object.freeze(['content-type', 'text/plain'])]) {
      const { status, body, bytesOut, writes, broken } = await heard(async (out, res) => {
        out.head(200, { theirs, ours: ['content-length', '4'] })
        out.data(Buffer.from('late'))
        out.end()
        assert.ok(res.socket)
        markFault(res.socket, 'request-malformed')
        res.socket.end(said)
        await turn()
        assert.equal(res.headersSent, false)
      })
      assert.deepEqual([status, body.toString(), bytesOut, writes], [400, 'no!', 0, 0])
      assert.deepEqual(broken, [])
    }
  })

  test('that Node will not write is told of, and goes nowhere', async () => {
    const { status, broken } = await heard(async (out) => {
      out.head(200, ours(['x-bad', 'a\nb']))
      out.end()
      await turn()
    })
    assert.equal(status, undefined)
    assert.equal((broken[0] as NodeJS.ErrnoException).code, 'ERR_INVALID_CHAR')
  })
})
