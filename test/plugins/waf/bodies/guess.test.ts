import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { atOnce } from '#plugins/waf/bodies/body'
import { guessSteps } from '#plugins/waf/bodies/guess'
import { limitsWith } from './bytes.ts'

const guess = atOnce(guessSteps)
const read = (body: string, limits = limitsWith({})) => guess(body, limits)

suite('A body of a type that is not known', () => {
  test('is JSON if it reads as that, and text besides', () => {
    const body = '\xef\xbb\xbf {"a":"\\u003cb"}'
    assert.deepEqual(read(body).args, [
      ['json.a', '<b'],
      ['body', body],
    ])
  })
  test('is XML if it reads as that, and text besides', () => {
    const { args, xml } = read('<a b="c">&lt;d</a>')
    assert.deepEqual(args, [['body', '<a b="c">&lt;d</a>']])
    assert.deepEqual(xml, { texts: ['<d'], attributes: ['c'] })
  })
  test('is a form if it may be one, and text besides; no fault is held against it', () => {
    for (const body of ['x=%41&y', '{"a":=1', '<a b=1'])
      assert.ok(read(body).args.length >= 2, body)
    assert.deepEqual(read('x=%41&y').args[0], ['x', 'A'])
    assert.equal(read('{"a":=1').error, undefined)
  })
  test('is not looked at if it is binary', () => {
    assert.deepEqual(read('\0\0\0\0\x02a=').args, [])
    assert.deepEqual(read('').args, [])
  })
  test('is looked at in pieces that overlap, so that nothing hides between two', () => {
    for (const before of [0, 16_370, 31_740, 100_000]) {
      const body = `${'x'.repeat(before)}<script>${'y'.repeat(120_000 - before)}`
      const { args } = read(body)
      assert.ok(
        args.some(([, value]) => value.includes('<script>')),
        String(before),
      )
      assert.ok(args.every(([, value]) => value.length <= 16_384))
    }
  })
  test('has no more arguments than it may', () => {
    const limits = limitsWith({ maxArguments: 5 })
    for (const body of ['a=1&'.repeat(100), `[${'1,'.repeat(100)}1]`])
      assert.ok(read(body, limits).args.length <= 5)
  })
})
