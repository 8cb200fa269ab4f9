import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { pipeline, Readable } from 'node:stream'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { slowReaderJudge } from '#http/slow-reader'
import { runEdge, serverTls, trusting } from './fixtures.ts'
import { dial, head } from './wire.ts'

const answerBytes = 30_000_000
/** Told of each answer that was cut off before its end. */
const cut = { count: 0 }
const edges = await Promise.all(
  [undefined, serverTls].map((tls) =>
    runEdge({
      tls,
      limits: { minReadBytesPerSecond: 400_000, slowReadGraceMs: 600 },
      doors: {
        request: (_req, res) => {
          res.writeHead(200, { 'content-length': answerBytes })
          const pieces = Array.from({ length: answerBytes / 50_000 }, () => Buffer.alloc(50_000))
          pipeline(Readable.from(pieces), res, (error) => (cut.count += error ? 1 : 0))
        },
        upgrade: (_req, socket) => {
          socket.on('close', () => cut.count++)
          socket.write('HTTP/1.1 101 Switching\r\n\r\n')
          const more = () => {
            while (socket.write(Buffer.alloc(50_000)));
          }
          socket.on('drain', more)
          more()
        },
        connect: (_req, socket) => void socket.destroy(),
      },
    }),
  ),
)
after(() => Promise.all(edges.map(({ listener }) => listener.close(0))))

const untilCut = async () => {
  const deadline = performance.now() + 5000
  while (cut.count === 0 && performance.now() < deadline) await sleep(10)
  return cut.count
}

suite('a caller over a socket', () => {
  for (const [i, kind] of ['TCP', 'TLS'].entries()) {
    const port = () => edges[i]!.port
    const options = i === 1 ? trusting : undefined

    test(`that does not read is cut (${kind})`, async () => {
      cut.count = 0
      const wire = await dial(port(), options)
      wire.socket.pause()
      wire.write(head('GET /a HTTP/1.1'))
      assert.equal(await untilCut(), 1)
      wire.destroy()
    })

    test(`that does not read what an upgraded connection brings is cut (${kind})`, async () => {
      cut.count = 0
      const wire = await dial(port(), options)
      wire.write(head('GET /a HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket'))
      await wire.until(/101/)
      wire.socket.pause()
      assert.equal(await untilCut(), 1)
      wire.destroy()
    })

    test(`that reads in pieces, with rests, gets all of it (${kind})`, async () => {
      cut.count = 0
      const wire = await dial(port(), options)
      let bytes = 0
      let rests = 0
      wire.socket.removeAllListeners('data')
      wire.socket.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes < (rests + 1) * 5_000_000) return
        rests++
        wire.socket.pause()
        setTimeout(() => wire.socket.resume(), 50)
      })
      wire.write(head('GET /a HTTP/1.1', 'Connection: close'))
      await wire.end()
      assert.ok(bytes > answerBytes, `${bytes} bytes`)
      assert.ok(rests > 3)
      assert.equal(cut.count, 0)
    })
  }
})

suite('the judge', () => {
  /** A socket with so much written, of which so much has gone out. */
  const socket = { bytesWritten: 0, writableLength: 0 }
  const state = (written: number, flushed: number) =>
    Object.assign(socket, { bytesWritten: written, writableLength: written - flushed }) as Socket

  test('allows what is pending its time at the lowest rate, and the grace', () => {
    const isSlow = slowReaderJudge({ minReadBytesPerSecond: 1000, slowReadGraceMs: 500 })
    assert.equal(isSlow(state(2000, 0), 0), false)
    assert.equal(isSlow(state(2000, 0), 2400), false)
    assert.equal(isSlow(state(2000, 0), 2600), true)
  })

  test('begins anew whenever anything has gone out', () => {
    const isSlow = slowReaderJudge({ minReadBytesPerSecond: 1000, slowReadGraceMs: 500 })
    assert.equal(isSlow(state(2000, 0), 0), false)
    assert.equal(isSlow(state(4000, 2000), 2400), false)
    assert.equal(isSlow(state(4000, 2000), 4800), false)
    assert.equal(isSlow(state(4000, 2000), 5000), true)
    assert.equal(isSlow(state(4000, 4000), 9000), false)
    assert.equal(isSlow(state(5000, 4000), 20_000), false)
  })

  test('allows everything if there is no limit', () => {
    const isSlow = slowReaderJudge({ minReadBytesPerSecond: 0, slowReadGraceMs: 0 })
    assert.equal(isSlow(state(2000, 0), 0), false)
    assert.equal(isSlow(state(2000, 0), 1e9), false)
  })
})
