import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { defaultBodyLimits } from '#plugins/waf/bodies/body'
import { jsonBody } from '#plugins/waf/bodies/json'
import { anyJson, bytesOf, limitsWith, millisecondsOf, overgrown } from './bytes.ts'

const read = (body: string) => jsonBody(body, defaultBodyLimits)

/** The arguments of a value, by way of JSON.parse: what the tokenizer must agree with where no key comes twice. */
const expectedOf = (value: unknown, name = 'json'): readonly (readonly [string, string])[] => {
  if (Array.isArray(value))
    return value.flatMap((item, index) => expectedOf(item, `${name}.array_${index}`))
  if (typeof value === 'object' && value !== null)
    return Object.entries(value).flatMap(([key, member]) =>
      expectedOf(member, `${name}.${key === '' ? 'empty-key' : key}`),
    )
  return [[name, value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value)]]
}
const encoded = (text: string): string => bytesOf(text.replaceAll(/\p{Surrogate}/gu, '?'))

const isJson = (body: string): boolean => {
  try {
    JSON.parse(
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
        Buffer.from(body, 'latin1'),
      ),
    )
    return true
  } catch {
    return false
  }
}

suite('JSON bodies', () => {
  for (const [body, args] of [
    ['', []],
    ['{"a":{"b":1}}', [['json.a.b', '1']]],
    [
      '{"items":[1,"x"]}',
      [
        ['json.items.array_0', '1'],
        ['json.items.array_1', 'x'],
      ],
    ],
    [
      '[[1,[2]],{"y":[{"z":3}]}]',
      [
        ['json.array_0.array_0', '1'],
        ['json.array_0.array_1.array_0', '2'],
        ['json.array_1.y.array_0.z', '3'],
      ],
    ],
    [' "text" ', [['json', 'text']]],
    [
      '{"a":1,"a":2}',
      [
        ['json.a', '1'],
        ['json.a', '2'],
      ],
    ],
    ['{"":{"":0}}', [['json.empty-key.empty-key', '0']]],
    [
      '{"a":null,"b":true,"c":false}',
      [
        ['json.a', ''],
        ['json.b', 'true'],
        ['json.c', 'false'],
      ],
    ],
    ['{"a":{},"b":[],"c":[[],{}]}', []],
    [
      '[1.50,1E2,-0,12345678901234567890]',
      [
        ['json.array_0', '1.50'],
        ['json.array_1', '1E2'],
        ['json.array_2', '-0'],
        ['json.array_3', '12345678901234567890'],
      ],
    ],
    ['{"a.b":{"c":1}}', [['json.a.b.c', '1']]],
    [
      String.raw`["\u00e9\ud83d\ude00\u0000\/\b\f\n\r\t\"\\"]`,
      [['json.array_0', '\xc3\xa9\xf0\x9f\x98\x80\0/\b\f\n\r\t"\\']],
    ],
    [String.raw`["\ud800x\udc00\ud800\u0041"]`, [['json.array_0', '?x??A']]],
    ['{"\\u0061":1}', [['json.a', '1']]],
  ] as const)
    test(`${body} has ${args.length} arguments`, () => {
      const parsed = read(body)
      assert.equal(parsed.error, undefined)
      assert.deepEqual(parsed.args, args)
    })

  for (const [body, kept] of [
    [' ', 0],
    ['{"a":1} x', 1],
    ['{"a":1}{"b":2}', 1],
    ['[1,]', 1],
    ['{"a":1,}', 1],
    ['{,}', 0],
    ['[01]', 1],
    ['[1.]', 1],
    ['[.5]', 0],
    ['[+1]', 0],
    ['[NaN]', 0],
    ['[-]', 0],
    ["{'a':1}", 0],
    ['{a:1}', 0],
    ['{"a" 1}', 0],
    ['[1 2]', 1],
    ['[1}', 1],
    ['"a\nb"', 0],
    ['"\\x"', 0],
    ['"\\u00g0"', 0],
    ['"abc', 0],
    ['[[[', 0],
    ['/* c */ 1', 0],
    ['\xef\xbb\xbf{}', 0],
    ['\v1', 0],
    ['"\xff"', 0],
    ['"\xed\xa0\x80"', 0],
    ['"\xc0\x80"', 0],
    ['nul', 0],
    ['truefalse', 1],
  ] as const)
    test(`${JSON.stringify(body)} is an error`, () => {
      const parsed = read(body)
      assert.match(parsed.error ?? '', /^JSON parsing error: /)
      assert.equal(parsed.overLimit, undefined)
      assert.equal(parsed.args.length, kept)
    })

  test('depth, arguments and names have limits', () => {
    const depth = limitsWith({ maxDepth: 3 })
    assert.equal(jsonBody('[[[1]]]', depth).error, undefined)
    assert.equal(jsonBody('[[[[1]]]]', depth).overLimit, true)
    assert.equal(jsonBody('[{"a":{"b":1}}]', depth).error, undefined)
    const two = limitsWith({ maxArguments: 2 })
    assert.equal(jsonBody('[1,2]', two).error, undefined)
    assert.deepEqual(jsonBody('[1,2,3]', two).args.length, 2)
    assert.equal(jsonBody('[1,2,3]', two).overLimit, true)
    const long = `{"${'k'.repeat(5000)}":[${'1,'.repeat(900)}1]}`
    const parsed = read(long)
    assert.equal(parsed.overLimit, true)
    assert.ok(parsed.args.length > 10 && parsed.args.length < 60)
  })

  test('no depth is too deep for it, if it may be', () => {
    const depth = 100_000
    const limits = limitsWith({ maxDepth: depth, maxTotalNameBytes: 1e7 })
    const parsed = jsonBody(`${'['.repeat(depth)}1${']'.repeat(depth)}`, limits)
    assert.equal(parsed.error, undefined)
    assert.equal(parsed.args[0]?.[0].length, 'json'.length + depth * '.array_0'.length)
  })

  test('it reads what JSON.parse reads, and what that says', () =>
    fc.assert(
      fc.property(anyJson, fc.constantFrom(0, 1, '\t'), (value, indent) => {
        const parsed = jsonBody(
          bytesOf(JSON.stringify(value, null, indent)),
          limitsWith({ maxArguments: 1e6 }),
        )
        assert.equal(parsed.error, undefined)
        assert.deepEqual(
          parsed.args,
          expectedOf(JSON.parse(JSON.stringify(value))).map((pair) => pair.map(encoded)),
        )
      }),
    ))

  test('it refuses exactly what JSON.parse refuses', () => {
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '"a"',
      '\\',
      '\\u0041',
      '\\n',
      '1',
      '-',
      '0',
      '.5',
      'e+1',
      'true',
      'null',
      ' ',
      '\n',
      '\0',
      '\x7f',
      '\xc3\xa9',
      '\xff',
      '[1]',
      '{"a":1}',
      '"a":',
    ]
    let valid = 0
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 8 }), (soup) => {
        const body = soup.join('')
        const accepted = isJson(body)
        if (accepted) valid++
        assert.equal(read(body).error === undefined, accepted, JSON.stringify(body))
      }),
      { numRuns: 8000 },
    )
    assert.ok(valid > 80, `only ${valid} were JSON`)
  })

  test('any bytes are read within the limits and in time linear in their number', () => {
    const limits = limitsWith({ maxArguments: 5, maxTotalNameBytes: 60 })
    fc.assert(
      fc.property(
        fc.array(
          fc.constantFrom(
            '{"a":',
            '[',
            '{"longer name":',
            '1,',
            '1',
            '"x"',
            ']',
            '}',
            '\\',
            '\xe9',
          ),
        ),
        (soup) => {
          assert.equal(overgrown(jsonBody(soup.join(''), limits), limits), undefined)
        },
      ),
    )
    const wide = limitsWith({ maxArguments: 1e7, maxDepth: 1e7, maxTotalNameBytes: 1e9 })
    for (const [before, piece] of [
      ['[', '1,'],
      ['[', '[],'],
      ['"', 'a'],
      ['"', '\\n'],
      ['"', '\\ud83d\\ude00'],
      ['', ' '],
      ['', '1'],
      ['', '1e'],
      ['[', '{"a":"b"},'],
      ['[', '-'],
    ] as const)
      assert.ok(millisecondsOf(() => jsonBody(before + piece.repeat(30_000), wide)) < 3000, piece)
    for (const piece of ['[', '{"a":', '[{"a":'])
      assert.ok(millisecondsOf(() => read(piece.repeat(60_000))) < 1000, piece)
  })
})
