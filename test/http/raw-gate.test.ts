import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { replyProblem, replyProblemOnSocket } from '#http/problem-reply'
import { rawGate, strictGate } from '#http/raw-gate'
import { runEdge, serverTls, trusting, whenRead } from './fixtures.ts'
import { rows } from './raw-gate-rows.ts'
import { dial } from './wire.ts'

const gate = rawGate({
  ...strictGate,
  singleNames: ['x-read-by-policy'],
  reservedPrefixes: ['x-ours-'],
})
const edge = await runEdge({
  tls: serverTls,
  doors: {
    request: (req, res) => {
      const result = gate(req)
      if (!result.ok) return void replyProblem(res, result.problem)
      whenRead(req, () => {
        const text = JSON.stringify(result.value)
        res.writeHead(200, ['content-length', String(text.length)]).end(text, 'latin1')
      })
    },
    upgrade: (req, socket, early) => {
      const result = gate(req, early)
      if (!result.ok) return void replyProblemOnSocket(socket, result.problem)
      const text = JSON.stringify(result.value)
      socket.end(`HTTP/1.1 101 Switching\r\nContent-Length: ${text.length}\r\n\r\n${text}`)
    },
    connect: (req, socket) => {
      const result = gate(req)
      assert.ok(!result.ok)
      replyProblemOnSocket(socket, result.problem)
    },
  },
})
after(() => edge.listener.close(0))

let ran = 0
for (const [group, groupRows] of Object.entries(rows))
  suite(group, () => {
    for (const row of groupRows)
      test(`${row.name} ${'refused' in row ? 'is refused' : 'is admitted'}`, async () => {
        ran++
        const wire = await dial(edge.port, trusting)
        wire.write(row.send)
        if ('refused' in row) {
          const [status, tag] = row.refused
          const text = await wire.end()
          assert.equal(text.slice(0, 12), `HTTP/1.1 ${status}`, text)
          assert.match(text, /\r\nconnection: close\r\n/i)
          assert.match(text, /\r\ncontent-type: application\/problem\+json\r\n/i)
          assert.equal(text.split('HTTP/1.1 ').length, 2, 'one answer and no other')
          if (tag !== null) assert.match(text, new RegExp(`x-sallyport-problem: ${tag}\r\n`))
        } else {
          const answer = await wire.answer()
          row.seen(answer.json())
          wire.destroy()
        }
      })
  })

test('every row was run', () => {
  assert.equal(Object.keys(rows).length, 16)
  assert.equal(ran, Object.values(rows).flat().length)
  assert.ok(ran > 150, `${ran} rows`)
})
