import assert from 'node:assert/strict'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { test } from 'node:test'
import type { Problem } from '#contract/problem'
import { forward, type Forwarding } from '#gateway/ingress/forward'
import type { Admitted } from '#gateway/ingress/pipeline'
import type { Sent } from '#gateway/answer'
import { answerWriter } from '#gateway/ingress/answer-out'
import { markFault } from '#http/socket-fault'
import type { UpstreamHandler } from '#http/upstream-client'

test('what throws when a request is over is its own record, and not thrown at the connection that told of the end', () => {
  const res = new ServerResponse(new IncomingMessage(new Socket()))
  res.destroy() // the caller has left, which is told at once
  let places = 1
  const refused: Problem[] = []
  const ends: Sent[] = []
  const bug = new Error('a bug')
  const forwarding = {
    refuse: (problem: Problem): Sent => {
      refused.push(problem)
      return { status: 500, bytesOut: 0, problem }
    },
    cut: { by: () => undefined, onCut: () => {}, cut: () => {} },
    answerOut: () => ({}),
    ended: () => {
      throw bug
    },
  } as unknown as Forwarding
  const request = {
    head: { isGrpc: false },
    route: { upstream: { name: 'service', config: {} }, config: {} },
    endpoint: { done: () => (places -= 1) },
  } as unknown as Admitted
  forward(request, res, forwarding, (sent) => ends.push(sent))
  assert.deepEqual(
    refused.map(({ tag }) => tag),
    ['caller-gone', 'internal'],
  )
  assert.deepEqual(
    ends.map(({ problem }) => problem),
    [{ tag: 'internal', cause: bug }],
  )
  assert.equal(places, 0)
})

test('an answer that was there, and had no time to go out before the connection ended for what came behind its request, is a refusal', () => {
  const socket = new Socket()
  const res = new ServerResponse(new IncomingMessage(socket))
  let answering: UpstreamHandler | undefined
  const ends: Sent[] = []
  const forwarding = {
    refuse: (problem: Problem): Sent => ({ status: 400, bytesOut: 0, problem }),
    cut: { by: () => undefined, onCut: () => {}, cut: () => {} },
    answerOut: answerWriter(Date.now),
    headersOf: () => ({ headers: [], sharedHeaders: [] }),
    quotaHeaders: () => [],
    ended: () => {},
  } as unknown as Forwarding
  const request = {
    head: { isGrpc: false, method: 'GET', path: '/', query: '', host: 'a', headers: [] },
    body: { take: () => null, fault: () => undefined, bytesIn: () => 0 },
    route: { upstream: { name: 'service', config: {} }, config: {} },
    endpoint: {
      done: () => {},
      client: { dispatch: (_asked: unknown, handler: UpstreamHandler) => (answering = handler) },
    },
  } as unknown as Admitted
  forward(request, res, forwarding, (sent) => ends.push(sent))
  answering?.onHead(200, Object.freeze(['content-type', 'text/plain']))
  answering?.onData(Buffer.from('late'), true)
  answering?.onEnd([])
  markFault(socket, 'request-malformed')
  res.emit('close')
  assert.deepEqual(ends, [{ status: 400, bytesOut: 0, problem: { tag: 'request-malformed' } }])
})
