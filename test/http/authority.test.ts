import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { authorityText, parseAuthority } from '#http/authority'

const read = (text: string) => {
  const authority = parseAuthority(text)
  return authority && authorityText(authority)
}

suite('an authority', () => {
  for (const [text, expected] of [
    ['a', 'a'],
    ['A.B-c.example:1', 'a.b-c.example:1'],
    ['a.example.', 'a.example'],
    ['a.example.:443', 'a.example:443'],
    ['192.0.2.1:65535', '192.0.2.1:65535'],
    ['[::1]', '[::1]'],
    ['[2001:DB8:0::1]:8443', '[2001:db8::1]:8443'],
    ['[::ffff:192.0.2.1]', '[::ffff:c000:201]'],
    ...[
      '',
      '.',
      'a..',
      '..',
      '.a',
      'a:',
      'a:0',
      'a:65536',
      'a:0443',
      'a:99999',
      'a:1:2',
      'a b',
      'a,b',
      'a/b',
      'u@a',
      'a?b',
      'a#b',
      'a%2e',
      'a_b',
      'ä',
      '[::1',
      '::1',
      '[::1]x',
      '[::1]:',
      '[::1%25e]',
      '[::1%e]',
      '[a]',
      '[]',
      'a'.repeat(300),
    ].map((text) => [text, undefined] as const),
  ] as const)
    test(`${JSON.stringify(text.slice(0, 40))} is ${expected ?? 'refused'}`, () =>
      assert.equal(read(text), expected))

  test('reads the same when read again, and nothing but what a host is made of', () => {
    const character = fc.constantFrom(...'aZ09-.:[]%@/ _,;ü'.split(''))
    fc.assert(
      fc.property(fc.string({ unit: character, maxLength: 12 }), (text) => {
        const once = read(text)
        if (once === undefined) return
        assert.equal(read(once), once)
        assert.match(once, /^(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?$/)
      }),
      { numRuns: 5000 },
    )
  })
})
