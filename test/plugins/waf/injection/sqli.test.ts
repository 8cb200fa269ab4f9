import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { fold } from '#plugins/waf/injection/sqli/fold'
import { judge } from '#plugins/waf/injection/sqli/judge'
import { keywordData } from '#plugins/waf/injection/sqli/keyword-data'
import { letterOf, string, variable } from '#plugins/waf/injection/sqli/kind'
import type { Token } from '#plugins/waf/injection/sqli/token'
import { scanner, valueOf } from '#plugins/waf/injection/sqli/token'
import { nextToken } from '#plugins/waf/injection/sqli/tokenize'
import { detectSqli } from '#plugins/waf/injection/sqli'
import { wordsOf } from '#plugins/waf/injection/word-table'
import { casesOf } from './cases.ts'

const printed = (token: Token): string => {
  const { kind, open, close, sigils } = token
  const value = valueOf(token)
  const quoted = kind === string || kind === variable ? `${open}${value}${close}` : value
  return `${letterOf(kind)} ${'@'.repeat(sigils)}${quoted}`.replace(/[\r\n]+$/, '')
}

const allTokens = (text: string, mysql: boolean): readonly Token[] => {
  const s = scanner(text, '', mysql)
  const tokens: Token[] = []
  for (let next = nextToken(s); next !== undefined; next = nextToken(s)) tokens.push(next)
  return tokens
}

const readings: readonly (readonly [
  kind: string,
  count: number,
  read: (input: string) => string,
])[] = [
  ['tokens', 249, (input) => allTokens(input, false).map(printed).join('\n')],
  [
    'folding',
    118,
    (input) =>
      fold(scanner(input, '', false))
        .map(printed)
        .join('\n'),
  ],
  ['sqli', 54, (input) => detectSqli(input).fingerprint],
]

for (const [kind, count, read] of readings)
  suite(`libinjection's cases of ${kind}`, () => {
    const cases = casesOf(kind)
    assert.equal(cases.length, count)
    for (const { name, input, expected } of cases)
      test(name, () => assert.equal(read(input).trim(), expected))
  })

suite('SQL injection', () => {
  for (const [text, fingerprint] of [
    ["1' or '1'='1", 's&sos'],
    ['1 UNION SELECT username, password FROM users--', '1UEnk'],
    ["admin'--", 'sc'],
    ["x' AND SLEEP(5)--", 's&f(1'],
    ['1/*!50000union*/ select 1', 'X'],
    ['select {``.``.id}', 'X'],
    ['0,0,0,0,{ `', 'X'],
    ['1 -- sp_password', '1c'],
    ["1' or 1.e(1) or '1'='1", 's&(1)'],
    // What other ports got wrong once (libinjection-go's list): all agree with the original.
    ['\t1/*', '1c'],
    [' 0x1/*', '1c'],
    ["q'\xe9' union /*!50000select*/ 1", 'X'],
    ["-(top<>thendrop1.5\\'--null'--", 'sc'],
  ] as const)
    test(`${JSON.stringify(text)} is one`, () =>
      assert.deepEqual(detectSqli(text), { injection: true, fingerprint }))

  for (const text of [
    '',
    'hello world',
    'user@example.com',
    '1 union',
    '1#x',
    'sexy and 17',
    "it's a nice day",
    '123e4567-e89b-12d3-a456-426614174000',
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0',
    '\u0142\u20ac', // not latin1, which is a mistake of the caller: no harm is done
  ])
    test(`${JSON.stringify(text)} is none`, () => assert.equal(detectSqli(text).injection, false))

  test('a word that is passed without reading it would have passed anyway', () => {
    const words = Object.values(keywordData)
      .flatMap(wordsOf)
      .filter((word) => /^\w+$/.test(word))
    const numbers = ['', '1', '12', '0x1f', '0b1', '0x', '1e', '1e5', '1f', '1d', '\xe9', '_']
    assert.ok(words.length > 500)
    for (const number of numbers)
      for (const word of words)
        for (const text of [number + word, number + word + number, word + number + word]) {
          const s = scanner(text, '', false)
          assert.equal(judge(s, fold(s)), false, text)
        }
  })

  test('no text makes it throw, and a longer one takes no more time a byte', () => {
    const pieces = [
      "'",
      '"',
      "\\'",
      "''",
      '/*',
      '*/',
      '(',
      ')',
      '1+',
      ',1',
      ';',
      'is.',
      '$a$',
      '@`',
    ]
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces, ' ', 'select', '\xa0', '\0')), (parts) => {
        detectSqli(parts.join(''))
      }),
      { numRuns: 2000 },
    )
    for (const piece of [...pieces, '$aaaaaaaa', "x'1", "q'[", '{a ', '1.e', '- ', '`a`.', '\\\\'])
      for (const quote of ['', "'", '"']) {
        const text = quote + piece.repeat(30_000 / piece.length)
        const began = performance.now()
        detectSqli(text)
        assert.ok(performance.now() - began < 1000, `${quote}${piece}`)
      }
  })
})
