import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { makePhraseIndex } from '#plugins/waf/engine/phrase-index'
import { findOperator, operators, type OperatorName } from '#plugins/waf/operators/table'

const compile = (name: OperatorName, argument: string) =>
  operators[name](argument, {
    settings: () => ({ geoLookupDb: undefined, httpBlKey: undefined }),
    askBlockList: async () => undefined,
    readFile: () =>
      '# a comment\n192.0.2.0/24\n\n2001:db8::/32 # and one\nFoo bar\n'.replace(
        name.startsWith('ip') ? /Foo.*\n/ : /$^/,
        '',
      ),
  })

const cases: readonly (readonly [
  name: OperatorName,
  argument: string,
  yes: readonly string[],
  no: readonly string[],
])[] = [
  ['beginsWith', 'ab', ['abc'], ['xab', 'AB']],
  ['endsWith', 'ab', ['xab'], ['abx']],
  ['contains', 'a b', ['xa by'], ['A B']],
  ['strmatch', 'ab', ['xaby'], ['a']],
  ['containsWord', 'cat', ['a cat!', 'cat'], ['concat', 'cats', 'cat_']],
  ['streq', 'ab', ['ab'], ['AB', 'abc']],
  ['within', 'GET POST', ['GET', 'ST', ''], ['PUT']],
  ['eq', '5', ['5', '5x', ' 5'], ['6', '']],
  ['eq', '0', ['', 'abc'], ['1']],
  ['ge', '5', ['5', '6'], ['4']],
  ['gt', '5', ['6'], ['5']],
  ['le', '5', ['5'], ['6']],
  ['lt', '5', ['4', ''], ['5']],
  ['pm', 'foo b |41 42|', ['xFOOy', 'cBd'], ['fo']],
  ['pmFromFile', 'x', ['a FOO BAR'], ['foo', '# a comment'.slice(2)]],
  [
    'ipMatch',
    '192.0.2.0/24,2001:db8::1',
    ['192.0.2.9', '2001:db8::1'],
    ['192.0.3.1', '2001:db8::2', 'x'],
  ],
  ['ipMatchFromFile', 'x', ['192.0.2.1', '2001:db8::5'], ['10.0.0.1']],
  ['validateByteRange', '9,32-126', ['\0', '\xff'], ['a b\t', '']],
  ['validateUrlEncoding', '', ['%zz', 'a%', '%4'], ['%41', 'a']],
  [
    'validateUtf8Encoding',
    '',
    ['\xff', '\xc0\xaf', '\xed\xa0\x80', '\xf4\x90\x80\x80', '\xe2\x82'],
    ['a', '\xc3\xa9', '\xf0\x9f\x98\x80'],
  ],
  [
    'verifyCC',
    '\\d{13,16}',
    ['4111111111111111', 'x 5500005555555559'],
    ['1234567', '1111111111111'],
  ],
  ['verifySSN', '\\d{3}-\\d{2}-\\d{4}', ['123-45-6789'], ['000-45-6789', '666-12-3456']],
  ['detectSQLi', '', ["1' or '1'='1"], ['hello']],
  ['detectXSS', '', ['<script>'], ['hello']],
  ['unconditionalMatch', '', ['', 'x'], []],
  ['noMatch', '', [], ['x']],
]

suite('Operators', () => {
  for (const [name, argument, yes, no] of cases)
    test(`@${name} ${argument} says yes and no rightly`, () => {
      const { test: matches } = compile(name, argument)
      for (const value of yes) assert.ok(matches(value), JSON.stringify(value))
      for (const value of no) assert.ok(!matches(value), JSON.stringify(value))
    })
  test('captures are what a rule is told of', () => {
    assert.deepEqual(compile('rx', '(a)(x)?(b)').capture?.('zab'), ['ab', 'a', '', 'b'])
    assert.deepEqual(compile('pm', 'bar foo').capture?.('xFOO bar'), ['FOO'])
    assert.equal(compile('detectSQLi', '').capture?.("1' or '1'='1").length, 1)
  })
  for (const [name, argument] of [
    ['ipMatch', '10.0.0.0/33'],
    ['ipMatch', 'host'],
    ['validateByteRange', '5-300'],
    ['validateByteRange', 'a'],
    ['rx', '('],
    ['pm', ' '],
  ] as const)
    test(`@${name} ${argument} is a fault`, () => {
      assert.throws(() => compile(name, argument), TypeError)
    })
  test('names ignore case, and are not those of methods of objects', () => {
    assert.equal(findOperator('PMFROMFILE'), 'pmFromFile')
    assert.equal(findOperator('toString'), undefined)
  })
  test('phrases are found wherever they are, and only there', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'C', '\xe9', ' '), maxLength: 12 })
    let found = 0
    fc.assert(
      fc.property(
        fc.array(
          letters.filter((text) => text.length >= 2),
          { minLength: 1, maxLength: 8 },
        ),
        letters,
        (phrases, text) => {
          const hits = new Set<string>()
          makePhraseIndex(phrases).scan(text, (phrase, end) => {
            hits.add(`${phrase} ${end}`)
            return false
          })
          const fold = (one: string) => one.replace(/[A-Z]/g, (char) => char.toLowerCase())
          const wanted = new Set<string>()
          phrases.forEach((phrase, number) => {
            for (let at = 0; at + phrase.length <= text.length; at++)
              if (fold(text).startsWith(fold(phrase), at))
                wanted.add(`${number} ${at + phrase.length}`)
          })
          assert.deepEqual([...hits].sort(), [...wanted].sort())
          found += hits.size
        },
      ),
      { numRuns: 2000 },
    )
    assert.ok(found > 100)
  })
})
