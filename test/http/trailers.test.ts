import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerTrailers } from '#http/trailers'

const named = (name: string) => answerTrailers([name, 'x', 'x-sum', '1'])

test('what an application says behind a body passes, in its order, repeated or not', () => {
  const given = [
    'grpc-status',
    '0',
    'x-sum',
    '1',
    'x-sum',
    '2',
    'etag',
    '"a"',
    'server-timing',
    'db',
  ]
  assert.deepEqual(answerTrailers(given), given)
  assert.deepEqual(answerTrailers([]), [])
})

for (const name of [
  'content-length',
  'transfer-encoding',
  'te',
  'trailer',
  'connection',
  'host',
  'content-type',
  'content-encoding',
  'set-cookie',
  'www-authenticate',
  'authorization',
  'location',
  'cache-control',
  'retry-after',
  'x-sallyport-problem',
  'x-sallyport-decision-id',
  'x-forwarded-for',
  'x-envoy-upstream',
  'access-control-allow-origin',
  'strict-transport-security',
  'proxy-authenticate',
  'via',
])
  test(`${name} does not`, () => assert.deepEqual(named(name), ['x-sum', '1']))

test('more than an answer may have are refused whole', () => {
  const many = (count: number) => Array.from({ length: count }, (_, i) => [`x-${i}`, '1']).flat()
  assert.equal(answerTrailers(many(64))?.length, 128)
  assert.equal(answerTrailers(many(65)), undefined)
  assert.equal(answerTrailers(['x', 'a'.repeat(16_383)])?.length, 2)
  assert.equal(answerTrailers(['x', 'a'.repeat(16_384)]), undefined)
  assert.equal(answerTrailers(['set-cookie', 'a'.repeat(16_384)]), undefined)
})
