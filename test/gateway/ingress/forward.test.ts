import assert from 'node:assert/strict'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { test } from 'node:test'
import type { Problem } from '#contract/problem'
import { forward, type Forwarding } from '#gateway/ingress/forward'
import type { Admitted } from '#gateway/ingress/pipeline'
import type { Sent } from '#gateway/answer'

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
