import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { replyProblem } from '#http/problem-reply'
import { rawGate, strictGate } from '#http/raw-gate'
import { runEdge, whenRead } from './fixtures.ts'
import { dial } from './wire.ts'

type Vector = {
  readonly file: string
  readonly line: number
  readonly name: string
  readonly bytes_latin1: string
  readonly expectError: boolean
  readonly messages: number
}
const { cases } = JSON.parse(
  readFileSync(new URL('../fixtures/llhttp/requests.json', import.meta.url), 'utf8'),
) as { cases: Vector[] }

const gate = rawGate({ ...strictGate, allowHttp10: true })
const completed = { plain: 0, gated: 0 }

/** Answers once a request is complete, and counts it. */
const serve = (kind: 'plain' | 'gated') => (req: IncomingMessage, res: ServerResponse) => {
  const head = kind === 'gated' ? gate(req) : undefined
  if (head && !head.ok) return void replyProblem(res, head.problem)
  req.on('error', () => {})
  whenRead(req, () => {
    if (!req.complete) return
    completed[kind]++
    res.writeHead(200, { 'content-length': 0 }).end()
  })
}
const open = (kind: 'plain' | 'gated') =>
  runEdge({
    doors: {
      request: serve(kind),
      upgrade: (_req, socket) => {
        completed[kind]++
        socket.end('HTTP/1.1 200 Upgraded\r\n\r\n')
      },
      connect: (_req, socket) => {
        completed[kind]++
        socket.end('HTTP/1.1 200 Connected\r\n\r\n')
      },
    },
  })
const plain = await open('plain')
const gated = await open('gated')
after(() => Promise.all([plain.listener.close(0), gated.listener.close(0)]))

/** All that comes back to these bytes when nothing follows them. */
const sendAll = async (port: number, bytes: string): Promise<string> => {
  const wire = await dial(port)
  wire.socket.end(bytes, 'latin1')
  return wire.end()
}

/** Stricter than llhttp. */
const refusedToo = new Set(['test/request/method.md:461']) // the preface of HTTP/2
const idOf = ({ file, line }: Vector) => `${file}:${line}`

suite("llhttp's requests", () => {
  test('are all there', () => {
    assert.equal(cases.length, 134)
    assert.equal(cases.filter(({ expectError }) => expectError).length, 55)
  })

  for (const row of cases.filter(({ expectError }) => expectError))
    test(`${row.file}:${row.line} ${row.name} is refused`, async () => {
      completed.plain = 0
      const text = await sendAll(plain.port, row.bytes_latin1)
      assert.match(text, /HTTP\/1\.1 400 [^\r]*\r\n[^]*connection: close/i)
      assert.ok(completed.plain <= row.messages, `${completed.plain} requests were completed`)
    })

  test('are not refused if there is no fault in them, as far as they go', async () => {
    const sound = cases.filter((row) => !row.expectError && !refusedToo.has(idOf(row)))
    const wires = await Promise.all(sound.map(() => dial(plain.port)))
    completed.plain = 0
    wires.forEach((wire, i) => wire.write(sound[i]?.bytes_latin1 ?? ''))
    const untilMs = performance.now() + 10_000
    while (completed.plain <= sound.length / 2 && performance.now() < untilMs) await sleep(20)
    await sleep(300) // many end in the middle of a message: nothing more will come
    wires.forEach((wire, i) => assert.doesNotMatch(wire.received(), /HTTP\/1\.1 4/, sound[i]?.name))
    for (const wire of wires) wire.destroy()
    const sent = sound.reduce((sum, { messages }) => sum + messages, 0)
    assert.ok(completed.plain <= sent, `${completed.plain} of ${sent}`)
    assert.ok(completed.plain > sound.length / 2, `only ${completed.plain} of ${sent}`)
  })

  test('reach a handler behind the gate no more often, and without a Host never', async () => {
    let withoutHost = 0
    for (const row of cases) {
      completed.gated = 0
      const text = await sendAll(gated.port, row.bytes_latin1)
      assert.ok(completed.gated <= row.messages, row.name)
      if (row.expectError) assert.match(text, /HTTP\/1\.1 400 /, row.name)
      if (
        /^host:/im.test(row.bytes_latin1) ||
        row.expectError ||
        /upgrade|CONNECT/i.test(row.bytes_latin1)
      )
        continue
      withoutHost++
      assert.equal(completed.gated, 0, row.name)
    }
    assert.ok(withoutHost > 40, `${withoutHost} without Host`)
  })
})
