import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { grpcMessage, grpcStatusIn, grpcStatusOf, isGrpcType } from '#contract/grpc'
import { problems } from '#contract/problem'

test('which types are gRPC', () => {
  for (const type of [
    'application/grpc',
    'Application/gRPC',
    'application/grpc+proto',
    'application/grpc;a=b',
  ])
    assert.equal(isGrpcType(type), true, type)
  for (const type of [
    'application/grpc-web',
    'application/grpc-web+proto',
    'application/grpcx',
    'text/application/grpc',
    '',
  ])
    assert.equal(isGrpcType(type), false, type)
})

test('every refusal has a status of gRPC, and none of them is OK', () => {
  for (const { status } of Object.values(problems)) assert.ok(grpcStatusOf(status) > 0)
  assert.deepEqual(
    [400, 401, 403, 404, 429, 502, 503, 504, 413, 500, 200].map(grpcStatusOf),
    [13, 16, 7, 12, 14, 14, 14, 14, 2, 2, 2],
  )
})

test('a status is a number from 0 to 16', () => {
  assert.equal(grpcStatusIn(['x', '1', 'grpc-status', '16']), 16)
  for (const value of ['17', '', '00', '-1', '1e0', ' 1'])
    assert.equal(grpcStatusIn(['grpc-status', value]), undefined, value)
  assert.equal(grpcStatusIn([]), undefined)
})

test('a message comes back as it was, and is plain ASCII on the way', () =>
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const encoded = grpcMessage(text)
      assert.match(encoded, /^[\x20-\x7e]*$/)
      assert.equal(decodeURIComponent(encoded), text)
    }),
  ))
