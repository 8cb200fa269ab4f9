import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { connectionOptions, endToEndHeaders, isHopByHop } from '#http/hop-by-hop'

suite('headers of an answer', () => {
  test('lose hop-by-hop ones and those that Connection names, wherever they stand', () => {
    const headers = endToEndHeaders([
      'X-Hop',
      '1',
      'Connection',
      'close, X-Hop',
      'Connection',
      'x-late',
      'Keep-Alive',
      'timeout=60',
      'Transfer-Encoding',
      'chunked',
      'Upgrade',
      'h2c',
      'Proxy-Authenticate',
      'Basic',
      'Trailer',
      'x',
      'Content-Type',
      'text/plain',
      'X-Late',
      '2',
      'Set-Cookie',
      'a=b',
      'Set-Cookie',
      'c=d',
    ])
    assert.deepEqual(headers, [
      'content-type',
      'text/plain',
      'set-cookie',
      'a=b',
      'set-cookie',
      'c=d',
    ])
  })

  test('may come as bytes, which are latin1', () => {
    assert.deepEqual(endToEndHeaders([Buffer.from('X-A'), Buffer.from('\xe4', 'latin1')]), [
      'x-a',
      '\xe4',
    ])
  })

  test('never hold what is for one hop, whatever was sent', () => {
    const name = fc.constantFrom(
      'connection',
      'Connection',
      'te',
      'TE',
      'keep-alive',
      'x-a',
      'X-B',
      'upgrade',
      'content-type',
    )
    const value = fc.constantFrom('x-a', 'x-b, close', 'a b', '', ',', 'content-type')
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), (pairs) => {
        const headers = endToEndHeaders(pairs.flat())
        const named = pairs
          .filter(([name]) => /^connection$/i.test(name))
          .flatMap(([, value]) => connectionOptions(value) ?? [])
        for (let i = 0; i < headers.length; i += 2) {
          assert.ok(!isHopByHop(headers[i]!))
          assert.ok(!named.includes(headers[i]!))
        }
      }),
      { numRuns: 1000 },
    )
  })
})

test('Connection is a list of tokens or nothing', () => {
  assert.deepEqual(connectionOptions('Close, ,\tX-A'), ['close', 'x-a'])
  for (const none of ['a b', 'a;b', '"a"', 'a/b']) assert.equal(connectionOptions(none), undefined)
})
