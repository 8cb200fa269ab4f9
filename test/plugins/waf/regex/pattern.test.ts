import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { classesIn } from '#plugins/waf/engine/byte-classes'
import { compilePattern } from '#plugins/waf/regex/pattern'
import { parsePattern } from '#plugins/waf/regex/parse'
import { printPattern } from '#plugins/waf/regex/print'
import { PatternError } from '#plugins/waf/regex/syntax'

const cases: readonly (readonly [
  pattern: string,
  yes: readonly string[],
  no: readonly string[],
])[] = [
  ['(?i)abc', ['xABCx', 'abC'], ['ab']],
  ['a(?i)b(?-i)c', ['aBc', 'abc'], ['aBC', 'Abc']],
  ['^(?i:get|post)$', ['GET', 'post'], ['gets', 'GET\n']],
  ['a.b', ['a\nb', 'axb'], ['ab']],
  ['a$', ['a'], ['a\n', 'ab']],
  ['\\x{e2}\\x80', ['\xe2\x80'], ['\xe2']],
  ['\\x17f', ['\x17f'], ['\x17']],
  ['[\\s\\x0b]', ['\v', ' '], ['\xa0']],
  ['[]a]', [']', 'a'], ['b']],
  ['[^]a]', ['b'], [']', 'a']],
  ['[a\\-z]', ['-', 'a', 'z'], ['b']],
  ['[[:alpha:]_]+$', ['a_b'], ['1']],
  ['\\bcat\\b', ['a cat!', 'cat'], ['concat', 'cats']],
  ['a{2,3}b', ['aab', 'xaaab'], ['ab']],
  ['a{,3}', ['a{,3}'], ['aaa']],
  ['x{', ['x{'], ['x']],
  ['(?:a|b)*c', ['c', 'ababc'], ['ab']],
  ['\\Qa.b\\E+', ['a.bb'], ['axb']],
  ['a(?=b)', ['ab'], ['ac']],
  ['(?<!x)a', ['a', 'ba'], ['xa']],
  ['(\\w+)=\\1', ['a=a', 'xyz=z'], ['a=b']],
  ['a++b', ['aab'], ['b']],
  ['(?>a*)ab', [], ['aaab']],
  ['(?m)^b$', ['a\nb\nc'], ['ab']],
  ['\\z', [''], []],
]

suite('PCRE patterns on bytes', () => {
  for (const [pattern, yes, no] of cases)
    test(`${pattern} matches what PCRE says`, () => {
      const { test: matches } = compilePattern(pattern)
      for (const text of yes) assert.ok(matches(text), JSON.stringify(text))
      for (const text of no) assert.ok(!matches(text), JSON.stringify(text))
    })
  for (const pattern of [
    '(a',
    'a)',
    '*a',
    '[a',
    'a{3,2}',
    '\\p{L}',
    '(?(1)a)',
    '(?R)',
    '\\k<x>',
    'a\\',
    '[b-a]',
  ])
    test(`${pattern} is a fault`, () => {
      assert.throws(() => compilePattern(pattern), PatternError)
    })

  const atom = fc.constantFrom(
    'a',
    'b',
    'A',
    '.',
    '\\d',
    '[ab]',
    '[^a]',
    '\\b',
    '\\s',
    '^',
    '$',
    '\\x0a',
    'ab',
    '(?i:B)',
  )
  const pattern: fc.Arbitrary<string> = fc.letrec<{ node: string }>((tie) => ({
    node: fc.oneof(
      { depthSize: 'small' },
      atom,
      fc.tuple(tie('node'), tie('node')).map(([x, y]) => x + y),
      fc.tuple(tie('node'), tie('node')).map(([x, y]) => `(${x}|${y})`),
      fc
        .tuple(tie('node'), fc.constantFrom('*', '+', '?', '{1,2}', '{2}', '*?', '+?'))
        .map(([x, repeat]) => `(?:${x})${repeat}`),
      tie('node').map((x) => `(${x})`),
    ),
  })).node
  const subject = fc.string({
    unit: fc.constantFrom('a', 'b', 'A', 'B', '1', ' ', '\n', '\xe9'),
    maxLength: 12,
  })

  test('our automaton and V8 agree on any pattern and text', () => {
    let matched = 0
    fc.assert(
      fc.property(pattern, subject, (source, text) => {
        const ours = compilePattern(source)
        const { regex } = printPattern(parsePattern(source))
        for (const one of [text, `${text}zzzz`]) {
          const theirs = regex.exec(one)
          assert.equal(ours.test(one), theirs !== null, `${source} on ${JSON.stringify(one)}`)
          if (theirs) matched++
        }
      }),
      { numRuns: 3000 },
    )
    assert.ok(matched > 500)
  })
  test('a search in pieces finds what a search at once does, whoever else uses the pattern in its pauses', () => {
    // Any text of these needs a new state at nearly every byte, more than are kept.
    const source = '(?:a|b).{14}c|a[ab]{9}(b)a{7}b'
    const text = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 6000, maxLength: 6000 })
    let pauses = 0
    let found = 0
    fc.assert(
      fc.property(text, text, fc.boolean(), (one, two, ends) => {
        const subject = ends ? `${one}abbbbbbbbbbbbbbbbc` : one
        const ours = compilePattern(source)
        const search = ours.search(subject)
        for (;;) {
          const { done, value: capture } = search.next()
          if (done !== true) {
            pauses++
            ours.test(two)
            continue
          }
          assert.equal(capture !== undefined, ours.test(subject))
          assert.deepEqual(capture?.(), ours.capture(subject))
          if (capture) found++
          return
        }
      }),
      { numRuns: 6 },
    )
    assert.ok(pauses > 0 && found > 0, `${pauses} pauses, ${found} found`)
  })
  // JavaScript has rules of its own for groups that match nothing in a repeat, so these patterns have none.
  const byte = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\d')
  const plain: fc.Arbitrary<string> = fc.letrec<{ node: string }>((tie) => ({
    node: fc.oneof(
      { depthSize: 'small' },
      fc
        .tuple(byte, fc.constantFrom('', '', '*', '+', '?', '*?', '+?', '{1,2}'))
        .map((parts) => parts.join('')),
      fc.tuple(tie('node'), tie('node')).map(([x, y]) => x + y),
      fc.tuple(tie('node'), tie('node')).map(([x, y]) => `(${x}|${y})`),
    ),
  })).node
  test('our search for groups finds what V8 finds', () => {
    let matched = 0
    fc.assert(
      fc.property(plain, subject, (source, text) => {
        const long = `${text}zzzz`
        const theirs = printPattern(parsePattern(source)).regex.exec(long)
        const groups = theirs && [...theirs].map((group) => group ?? '')
        assert.deepEqual(compilePattern(source).capture(long) ?? null, groups, source)
        if (theirs) matched++
      }),
      { numRuns: 2000 },
    )
    assert.ok(matched > 300)
  })
  test('what a pattern requires is in whatever it matches', () => {
    fc.assert(
      fc.property(pattern, subject, (source, text) => {
        const { test: matches, requirement } = compilePattern(source)
        if (!matches(text)) return
        const { minLength, classes, literals } = requirement
        assert.ok(text.length >= minLength, source)
        for (const mask of classes) assert.ok((classesIn(text) & mask) !== 0, source)
        if (literals)
          assert.ok(
            literals.some((one) => text.toLowerCase().includes(one)),
            source,
          )
      }),
      { numRuns: 3000 },
    )
  })
  test('long subjects of simple patterns, which do not go to V8, get the same answers', () => {
    const pad = 'z'.repeat(300)
    for (const [source, text] of [
      ['^a.*b$', `a${pad}b`],
      ['\\.([^.]+)$', `x.${pad}`],
      ['(\\d+)-z', `12${pad}34-z`],
    ] as const) {
      const theirs = printPattern(parsePattern(source)).regex.exec(text)
      assert.deepEqual(compilePattern(source).capture(text), theirs && [...theirs])
      assert.ok(compilePattern(source).test(text))
    }
  })
  test('time is linear where backtracking would take for ever', () => {
    const { test: matches, linear } = compilePattern('(a*)*b|(a|a?)+c')
    assert.ok(linear)
    assert.ok(!matches('a'.repeat(50_000)))
  })
})
