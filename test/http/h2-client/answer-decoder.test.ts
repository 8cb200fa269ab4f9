import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerDecoder } from '#http/h2-client/answer-decoder'
import { answerLimits } from '#http/h2-client/options'
import { field, status200 } from './scripted-peer.ts'

const decodeWith = (decoder: ReturnType<typeof answerDecoder>, block: string) => {
  const bytes = Buffer.from(block, 'latin1')
  return decoder(bytes, 0, bytes.length)
}
const decode = (block: string) => decodeWith(answerDecoder(answerLimits), block)

test('a head is its status, its fields and its content-length', () =>
  assert.deepEqual(decode(status200 + field('content-length', '12') + field('a', 'b')), {
    status: 200,
    headers: ['content-length', '12', 'a', 'b'],
    contentLength: 12,
  }))

test('trailers have no status', () =>
  assert.deepEqual(decode(field('grpc-status', '0')), {
    status: 0,
    headers: ['grpc-status', '0'],
    contentLength: -1,
  }))

test('a field may come more than once, in order', () =>
  assert.deepEqual(decode(status200 + field('set-cookie', 'a=1') + field('set-cookie', 'b=2')), {
    status: 200,
    headers: ['set-cookie', 'a=1', 'set-cookie', 'b=2'],
    contentLength: -1,
  }))

test('content-length of a 204 is not handed on', () =>
  assert.deepEqual(decode(`\x89${field('content-length', '0')}`), {
    status: 204,
    headers: [],
    contentLength: 0,
  }))

test('what is remembered cannot be changed', () => {
  const decoder = answerDecoder(answerLimits)
  const first = decodeWith(decoder, status200 + field('a', 'b'))
  assert.ok(typeof first === 'object' && Object.isFrozen(first) && Object.isFrozen(first.headers))
  assert.equal(decodeWith(decoder, status200 + field('a', 'b')), first)
})

test('blocks that never repeat, then always, then never, are all decoded right', () => {
  const decoder = answerDecoder(answerLimits)
  const check = (value: string) => {
    const block = decodeWith(decoder, status200 + field('x-request-id', value) + field('a', 'b'))
    assert.ok(typeof block === 'object')
    assert.deepEqual(block.headers, ['x-request-id', value, 'a', 'b'])
  }
  for (let at = 0; at < 3_000; at++) check(`unique-${at}`)
  for (let at = 0; at < 20_000; at++) check(`few-${at % 3}`)
  for (let at = 0; at < 3_000; at++) check(`again-${at}`)
})
