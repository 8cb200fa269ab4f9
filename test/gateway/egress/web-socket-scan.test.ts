import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { secret } from '#contract/secret'
import { needlesOf } from '#gateway/egress/credentials/scan'
import { webSocketScan } from '#gateway/egress/web-socket-scan'

const value = 'tok_live_0123456789'
const scanOf = (scanBytes = 65_536) => {
  const scan = webSocketScan({
    id: 'key',
    kind: 'bearer',
    scanBytes,
    attachment: secret({ headers: [], removes: [], needles: needlesOf([value]) }),
    tookMs: 0,
  })
  assert.ok(scan)
  return scan
}
const frame = (opcode: number, payload: string, { fin = true, rsv = 0, mask = false } = {}) => {
  const body = Buffer.from(payload, 'latin1')
  const length =
    body.length < 126
      ? Buffer.from([body.length])
      : body.length < 65_536
        ? Buffer.from([126, body.length >> 8, body.length & 255])
        : Buffer.from([
            127,
            0,
            0,
            0,
            0,
            0,
            body.length >> 16,
            (body.length >> 8) & 255,
            body.length & 255,
          ])
  length[0] = (length[0] ?? 0) | (mask ? 0x80 : 0)
  return Buffer.concat([Buffer.from([(fin ? 0x80 : 0) | rsv | opcode]), length, body])
}
/** What gets through, and why it was stopped. */
const through = (chunks: readonly Buffer[], scan = scanOf()) => {
  const out: Buffer[] = []
  for (const chunk of chunks) {
    const on = scan.in(chunk)
    if (!Buffer.isBuffer(on)) return { passed: Buffer.concat(out), stopped: on.problem }
    out.push(on)
  }
  const held = scan.rest?.() ?? Buffer.alloc(0)
  return { passed: Buffer.concat(out), held, stopped: undefined }
}
const cut = (bytes: Buffer, at: readonly number[]) => {
  const edges = [
    0,
    ...at.map((one) => one % (bytes.length + 1)).sort((a, b) => a - b),
    bytes.length,
  ]
  return edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge))
}
const cuts = fc.array(fc.nat(500), { maxLength: 10 })

suite('a credential in what comes through a WebSocket', () => {
  test('is stopped however its message is cut into frames and those into chunks', () => {
    let runs = 0
    fc.assert(
      fc.property(
        fc.string({ maxLength: 20 }),
        cuts,
        cuts,
        fc.boolean(),
        (noise, frames, chunks, pings) => {
          runs += 1
          const lead = Buffer.from(noise).toString('latin1')
          const parts = cut(Buffer.from(`${lead}${value}!`, 'latin1'), frames)
          const bytes = parts.flatMap((part, i) => [
            frame(i === 0 ? 1 : 0, part.toString('latin1'), { fin: i === parts.length - 1 }),
            ...(pings ? [frame(9, 'still there?')] : []),
          ])
          const { passed, stopped } = through(cut(Buffer.concat(bytes), chunks))
          assert.equal(stopped?.tag, 'credential-returned')
          assert.ok(!passed.includes(value.slice(0, 12)), passed.toString('latin1'))
        },
      ),
    )
    assert.ok(runs >= 100)
  })
  test('is stopped in a control frame and across messages', () => {
    for (const chunks of [
      [frame(9, value)],
      [frame(8, `\x03\xe8${value}`)],
      [frame(1, value.slice(0, 7)), frame(1, value.slice(7))],
    ])
      assert.equal(through(chunks).stopped?.tag, 'credential-returned')
  })
  test('that is not there lets all through, byte for byte', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(1, 2, 9, 10), fc.string({ maxLength: 120 }))),
        cuts,
        (messages, chunks) => {
          const bytes = Buffer.concat(
            messages.map(([opcode, text]) =>
              frame(opcode, Buffer.from(text).toString('latin1').slice(0, 125)),
            ),
          )
          const { passed, held, stopped } = through(cut(bytes, chunks))
          assert.equal(stopped, undefined)
          assert.deepEqual(Buffer.concat([passed, held ?? Buffer.alloc(0)]), bytes)
        },
      ),
    )
    const long = Buffer.concat([
      frame(2, 'x'.repeat(200)),
      frame(2, 'y'.repeat(70_000)),
      frame(1, 'z'),
    ])
    assert.deepEqual(through(cut(long, [5, 190, 300, 65_000])).passed, long)
  })
  test('that a message only begins like is not waited for', () => {
    const message = frame(1, `so far ${value.slice(0, 9)}`)
    assert.deepEqual(through([message]).passed, message)
    const telling = frame(1, value.slice(0, 10))
    assert.ok(through([telling]).passed.length < telling.length)
  })
  test('is not looked for behind so many bytes, and then frames are not read either', () => {
    const scan = scanOf(10)
    const bytes = Buffer.concat([frame(1, '0123456789'), frame(1, value), Buffer.from('no frame')])
    assert.deepEqual(through([bytes], scan).passed, bytes)
    assert.ok(scan.isOver())
  })
})

suite('what is no frame that was agreed to', () => {
  for (const [what, bytes] of [
    ['compressed', frame(1, 'x', { rsv: 0x40 })],
    ['masked', frame(1, 'x', { mask: true })],
    ['of another kind', frame(3, 'x')],
    ['a control frame in parts', frame(9, 'x', { fin: false })],
    ['a control frame that is too long', frame(9, 'x'.repeat(126))],
    ['longer than anything', Buffer.from([0x82, 127, 255, 0, 0, 0, 0, 0, 0, 0])],
    [
      'without content, without end',
      Buffer.concat([
        frame(1, value.slice(0, 10), { fin: false }),
        ...Array.from({ length: 1100 }, () => frame(0, '', { fin: false })),
      ]),
    ],
  ] as const)
    test(what, () => assert.equal(through([bytes]).stopped?.tag, 'destination-broken'))
  test('no bytes make it throw', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 })), (chunks) => {
        through(chunks.map((chunk) => Buffer.from(chunk)))
      }),
    )
  })
})
