import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { h2Client } from '#http/h2-client/h2-client'
import type { UpstreamClient } from '#http/upstream-client'
import { ask } from '../../http/h2-client/ask.ts'
import { findTool, without } from '../../tools.ts'
import { startEnvoy } from './peers/envoy.ts'
import { startNghttpd } from './peers/nghttpd.ts'
import { startNginx } from './peers/nginx.ts'
import { startNodeHttp2 } from './peers/node-http2.ts'
import { type Ability, bigBytes, type RealPeer, tls } from './peers/real-peer.ts'

type Subject = {
  readonly name: string
  readonly tool?: string
  readonly start: (command: string) => Promise<RealPeer>
  readonly abilities: readonly Ability[]
}

const subjects: readonly Subject[] = [
  {
    name: 'Node’s http2',
    start: startNodeHttp2,
    abilities: ['echo', 'statuses', 'trailers', 'informational', 'never', 'varied'],
  },
  {
    name: 'nghttpd',
    tool: 'nghttpd',
    start: (command) => startNghttpd(command)(),
    abilities: ['echo', 'trailers'],
  },
  {
    name: 'Envoy',
    tool: 'envoy',
    start: (command) => startEnvoy(command)(),
    abilities: ['echo', 'statuses', 'never', 'varied'],
  },
  {
    name: 'nginx',
    tool: 'nginx',
    start: (command) => startNginx(command)(),
    abilities: ['echo', 'statuses', 'never', 'varied'],
  },
]

for (const { name, tool, start, abilities } of subjects) {
  const command = tool === undefined ? '' : findTool(tool)
  describe(`with ${name}`, without(tool === undefined ? {} : { [tool]: command }), () => {
    let peer: RealPeer
    let client: UpstreamClient
    before(async () => {
      peer = await start(command ?? '')
      client = h2Client({ connect: tls(peer.port) })
    })
    after(async () => {
      await client.close()
      await peer.stop()
    })
    const can = (ability: Ability) =>
      abilities.includes(ability) ? {} : { skip: `${name} is not set up for this` }

    test('an answer', async () => {
      const { status, body, fault } = await ask(client, { path: '/hello' })
      assert.equal(fault, undefined)
      assert.equal(status, 200)
      assert.equal(body, 'hello')
    })

    test('a HEAD has headers and no body', async () => {
      const { status, body, fault, headers } = await ask(client, { method: 'HEAD', path: '/hello' })
      assert.equal(fault, undefined)
      assert.equal(status, 200)
      assert.equal(body, '')
      assert.ok(headers.length > 0)
    })

    for (const status of [204, 304])
      test(`a ${status} has no body`, can('statuses'), async () => {
        const answer = await ask(client, { path: `/${status}` })
        assert.equal(answer.fault, undefined)
        assert.equal(answer.status, status)
        assert.equal(answer.body, '')
      })

    test('a large answer to a reader that pauses', async () => {
      let parts = 0
      const { body, fault } = await ask(client, {
        path: '/big',
        onData: (control) => {
          if (++parts % 10 > 0) return
          control.pause()
          setImmediate(() => control.resume())
        },
      })
      assert.equal(fault, undefined)
      assert.equal(body.length, bigBytes)
    })

    test(
      'bodies, whole and streamed, small and large, with and without length',
      can('echo'),
      async () => {
        const large = Buffer.alloc(1_000_000, 'u')
        const pieces = Array.from({ length: 50 }, (_, at) => Buffer.alloc(at * 700, 'p'))
        const piecesBytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
        const bodies = [
          [Buffer.from('small'), 5, true],
          [large, large.length, true],
          [Readable.from(pieces), piecesBytes, false],
          [Readable.from(pieces), piecesBytes, true],
          [Readable.from([]), 0, false],
        ] as const
        for (const [body, length, declared] of bodies) {
          const headers = declared ? ['content-length', String(length)] : []
          const answer = await ask(client, { method: 'POST', path: '/echo', headers, body })
          assert.equal(answer.fault, undefined)
          assert.equal(answer.body.length, length)
        }
      },
    )

    test('many at once, each its own', can('varied'), async () => {
      const answers = await Promise.all(
        Array.from({ length: 300 }, (_, at) =>
          ask(client, { path: '/varied', headers: ['x-asked', `number ${at}`] }),
        ),
      )
      for (const [at, { body, fault }] of answers.entries()) {
        assert.equal(fault, undefined)
        assert.equal(body, `number ${at}`)
      }
    })

    test('more requests, one after the other, than some connections serve', async () => {
      for (let at = 0; at < 450; at++) {
        const { fault } = await ask(client, { path: '/hello' })
        assert.equal(fault, undefined)
      }
    })

    test('aborted downloads and requests leave the others alone', async () => {
      const slow = abilities.includes('never') ? '/never' : '/big'
      const asked = Array.from({ length: 20 }, (_, at) => {
        if (at % 4 === 3) return ask(client, { path: '/hello' })
        return ask(client, {
          path: at % 4 === 0 ? slow : '/big',
          onStart: (control) => void setTimeout(() => control.abort(new Error('no more')), 20 + at),
        })
      })
      for (const [at, { fault, body }] of (await Promise.all(asked)).entries())
        if (at % 4 === 3) assert.equal(body, 'hello')
        else assert.ok(fault?.kind === 'aborted' || body.length === bigBytes)
      assert.equal((await ask(client, { path: '/hello' })).body, 'hello')
    })

    test('trailers', can('trailers'), async () => {
      const { trailers, body } = await ask(client, {
        path: '/trailers',
        headers: ['te', 'trailers'],
      })
      assert.equal(body, 'body')
      assert.deepEqual(trailers, ['x-trailer', 'at the end'])
    })

    test('1xx answers', can('informational'), async () => {
      const { informational, status } = await ask(client, { path: '/informational' })
      assert.deepEqual(informational, [103])
      assert.equal(status, 200)
    })

    test('a head of more than one frame arrives, or is refused by status', async () => {
      const headers = Array.from({ length: 6 }, (_, at) => [
        `x-long-${at}`,
        'l'.repeat(4_000),
      ]).flat()
      const { status, fault } = await ask(client, { path: '/hello', headers })
      // Peers have limits of their own; some reset the stream, none may end the connection for it.
      assert.ok(
        fault !== undefined || status === 200 || status === 431 || status === 400,
        String(status),
      )
      assert.equal((await ask(client, { path: '/hello' })).status, 200)
    })
  })
}
