import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { fieldMemo } from '#http/h2-client/field-memo'
import { frameReader } from '#http/h2-client/frame-reader'
import { h2Client } from '#http/h2-client/h2-client'
import { decodeBlock } from '#http/h2-client/hpack-decode'
import type { UpstreamControl } from '#http/upstream-client'
import { ask, type Answer, until } from '../../http/h2-client/ask.ts'
import {
  data,
  field,
  frame,
  goaway,
  headers,
  ping,
  reset,
  settings,
  settingsAck,
  status200,
  windowUpdate,
} from '../../http/h2-client/scripted-peer.ts'

const limits = { maxHeaderListBytes: 32_768, maxFields: 200 }

/** Something that a peer sends; `pick` chooses among the requests that it has. */
type Move = (open: readonly { id: number; asked: string }[], pick: number) => string

const ofOne =
  (make: (id: number, asked: string) => string): Move =>
  (open, pick) => {
    // Of the last few, ended ones among them: what is late must not reach whoever has the slot now.
    const recent = open.slice(-6)
    const one = recent[pick % Math.max(1, recent.length)]
    return one === undefined ? '' : make(one.id, one.asked)
  }
const headOf = (id: number, asked: string, last = false) =>
  headers(id, status200 + field('x-asked', asked), last)

const fairMoves: readonly Move[] = [
  ofOne((id, asked) => headOf(id, asked)),
  ofOne((id, asked) => headOf(id, asked)),
  ofOne((id, asked) => data(id, `<${asked}>`, false)),
  ofOne((id, asked) => data(id, `<${asked}>`)),
  ofOne((id, asked) => headOf(id, asked) + data(id, `<${asked}>`)),
  ofOne((id, asked) => headOf(id, asked, true)),
  ofOne((id, asked) => headers(id, field('x-asked', asked), true)),
  ofOne((id) => headers(id, '\x08\x03103')),
  ofOne((id) => frame(0, 9, id, '\x02\0\0')),
  ofOne((id) => reset(id, 7)),
  ofOne((id) => reset(id, 8)),
  ofOne((id) => windowUpdate(id, 100)),
  ofOne((id) => goaway(id)),
  () => goaway(2 ** 31 - 1),
  () => settings([3, 5], [4, 1_000]),
  () => ping(),
  (_, pick) => frame(0xaa, pick & 255, pick, 'unknown'),
]
const foulMoves: readonly Move[] = [
  (_, pick) =>
    frame(
      pick % 10,
      pick & 255,
      pick % 12,
      String.fromCharCode(...[pick, pick >> 3, pick >> 5].map((n) => n & 255)),
    ),
  ofOne((id) => frame(1, 0, id, status200)),
  ofOne((id) => frame(9, 4, id, '')),
  ofOne((id) => data(id, 'x'.repeat(9_000), false)),
  (_, pick) =>
    String.fromCharCode(...Array.from({ length: 30 }, (_, at) => (pick * (at + 7)) & 255)),
]

/** Plays a game of moves against a client with some requests, and gives what became of each. */
const play = async (
  moves: readonly (readonly [Move, number])[],
  requests: number,
  seed: number,
) => {
  const sockets: Duplex[] = []
  const connect = async () => {
    const open: { id: number; asked: string }[] = []
    const reader = frameReader(
      16_384,
      (type, _, id, bytes, start, end) => {
        if (type !== 1) return
        const fields = decodeBlock(bytes, start, end, limits, fieldMemo())
        assert.ok(typeof fields === 'object')
        open.push({ id, asked: (fields[fields.indexOf(':path') + 1] ?? '').slice(1) })
      },
      () => true,
    )
    let preface = true
    const socket: Duplex = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _, done) => {
        reader.read(preface ? chunk.subarray(24) : chunk)
        preface = false
        done()
        setImmediate(() => next(socket, open))
      },
    })
    sockets.push(socket)
    socket.push(Buffer.from(settings() + settingsAck, 'latin1'))
    return { ok: true, socket } as const
  }
  let at = 0
  const next = (socket: Duplex, open: readonly { id: number; asked: string }[]) => {
    const move = moves[at++]
    if (move === undefined || socket.destroyed || socket.readableEnded) return
    socket.push(Buffer.from(move[0](open, move[1]), 'latin1'))
    setImmediate(() => next(socket, open))
  }
  const client = h2Client({
    connect,
    limits: {
      firstBackoffMs: 0,
      maxInFlight: 2, // so a ring of four slots, each used many times
      maxConnections: 2,
      streamWindowBytes: 20_000,
      maxQueued: 64,
    },
  })
  const ended = new Map<number, Answer>()
  for (let n = 0; n < requests; n++) {
    const habit = (seed + n) % 5
    const onStart = (control: UpstreamControl) => {
      if (habit === 1) setImmediate(() => control.abort(new Error('enough')))
      if (habit === 2) control.pause()
      if (habit === 2) setTimeout(() => control.resume(), 1)
    }
    const body = habit === 3 ? Buffer.alloc(3_000) : null
    void ask(client, { path: `/${n}`, method: body ? 'POST' : 'GET', body, onStart }).then(
      (answer) => ended.set(n, answer),
    )
  }
  await until(
    () =>
      at >= moves.length || sockets.every((socket) => socket.destroyed) || ended.size === requests,
    'the moves',
    2_000,
  ).catch(() => {})
  client.destroy(new Error('over'))
  await until(() => ended.size === requests, 'the end of every request')
  assert.equal(client.stats().inFlight + client.stats().queued + client.stats().open, 0)
  return ended
}

const game = (moves: readonly Move[]) =>
  fc.tuple(
    fc.array(fc.tuple(fc.constantFrom(...moves), fc.nat(10_000)), { minLength: 1, maxLength: 80 }),
    fc.integer({ min: 1, max: 30 }),
    fc.nat(100),
  )

test('whatever a peer does with the streams, no request gets what is another’s', async () => {
  let answered = 0
  await fc.assert(
    fc.asyncProperty(game(fairMoves), async ([moves, requests, seed]) => {
      const ended = await play(moves, requests, seed)
      for (const [n, { status, headers, body, trailers, fault }] of ended) {
        if (status > 0) assert.deepEqual(headers, ['x-asked', String(n)])
        assert.equal(body.replaceAll(`<${n}>`, ''), '')
        if (trailers.length > 0) assert.deepEqual(trailers, ['x-asked', String(n)])
        if (fault === undefined) answered++
      }
    }),
    { numRuns: 400 },
  )
  assert.ok(answered > 50, `${answered} answers`)
})

test('whatever a peer sends, every request ends once and nothing is thrown', async () => {
  await fc.assert(
    fc.asyncProperty(game([...fairMoves, ...foulMoves]), async ([moves, requests, seed]) => {
      await play(moves, requests, seed)
    }),
    { numRuns: 150 },
  )
})
