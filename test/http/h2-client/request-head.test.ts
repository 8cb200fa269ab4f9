import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fieldMemo } from '#http/h2-client/field-memo'
import { decodeBlock } from '#http/h2-client/hpack-decode'
import { requestEncoder } from '#http/h2-client/request-head'
import type { UpstreamRequest } from '#http/upstream-client'

const request: UpstreamRequest = {
  method: 'GET',
  path: '/a?b=c',
  authority: 'orders.test:8443',
  headers: ['accept', '*/*', 'x-own', 'value'],
  body: null,
  headersTimeoutMs: 0,
  idleTimeoutMs: 0,
}
const encode = requestEncoder('https')
const decoded = (changes: Partial<UpstreamRequest>) => {
  const bytes = Buffer.from(encode({ ...request, ...changes }).block, 'latin1')
  const limits = { maxHeaderListBytes: 1_000_000, maxFields: 1_000 }
  return decodeBlock(bytes, 0, bytes.length, limits, fieldMemo())
}

test('a head begins with its pseudo-header fields, the second time too', () => {
  for (let time = 0; time < 2; time++)
    assert.deepEqual(decoded({}), [
      ':method',
      'GET',
      ':scheme',
      'https',
      ':path',
      '/a?b=c',
      ':authority',
      'orders.test:8443',
      'accept',
      '*/*',
      'x-own',
      'value',
    ])
})

test('methods other than GET and POST are spelt out', () => {
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PROPFIND'])
    assert.deepEqual(decoded({ method }).slice(0, 2), [':method', method])
})

test('more names and authorities than are remembered are encoded right', () => {
  for (let at = 0; at < 2_000; at++) {
    const name = `x-name-${at}`
    const fields = decoded({ authority: `host-${at}.test`, headers: [name, String(at)] })
    assert.deepEqual(fields.slice(6), [':authority', `host-${at}.test`, name, String(at)])
  }
})

test('te: trailers goes through, for gRPC', () =>
  assert.deepEqual(decoded({ headers: ['te', 'trailers'] }).slice(8), ['te', 'trailers']))

const unsendable: readonly (readonly [string, Partial<UpstreamRequest>])[] = [
  ['CONNECT', { method: 'CONNECT' }],
  ['a space in a method', { method: 'GET /' }],
  ['an empty path', { path: '' }],
  ['a space in a path', { path: '/a b' }],
  ['CR LF in a path', { path: '/a\r\nx: y' }],
  ['a path beyond latin1', { path: '/\u0100' }],
  ['an empty authority', { authority: '' }],
  ['userinfo in an authority', { authority: 'a@b' }],
  ['a host field', { headers: ['host', 'a'] }],
  ['upper case in a name', { headers: ['X-Own', 'a'] }],
  ['a pseudo-header field', { headers: [':path', '/admin'] }],
  ['connection', { headers: ['connection', 'close'] }],
  ['transfer-encoding', { headers: ['transfer-encoding', 'chunked'] }],
  ['upgrade', { headers: ['upgrade', 'h2c'] }],
  ['te: gzip', { headers: ['te', 'gzip'] }],
  ['CR LF in a value', { headers: ['a', 'x\r\ny'] }],
  ['NUL in a value', { headers: ['a', '\0'] }],
  ['a value beyond latin1', { headers: ['a', '\u2028'] }],
  ['a space before a value', { headers: ['a', ' x'] }],
  ['two content-lengths', { headers: ['content-length', '0', 'content-length', '0'] }],
  ['a content-length that is no number', { headers: ['content-length', '0x1'] }],
  ['a content-length without a body', { headers: ['content-length', '3'] }],
  ['a content-length of another body', { headers: ['content-length', '3'], body: Buffer.alloc(4) }],
]

for (const [name, changes] of unsendable)
  test(`${name} is a bug of ours, and thrown`, () => {
    // Twice: what was refused must not be remembered as if it had been encoded.
    assert.throws(() => encode({ ...request, ...changes }), TypeError)
    assert.throws(() => encode({ ...request, ...changes }), TypeError)
  })
