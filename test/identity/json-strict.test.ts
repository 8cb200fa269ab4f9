import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { parseStrictObject } from '#identity/json-strict'

const parse = (text: string, maxDepth?: number) => parseStrictObject(Buffer.from(text), maxDepth)

const names = fc.string({ unit: 'grapheme', maxLength: 6 }).filter((name) => name !== '__proto__')
const leaf = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.string({ unit: 'binary-ascii', maxLength: 12 }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
)
const { object } = fc.letrec<{ value: unknown; object: Record<string, unknown> }>((tie) => ({
  value: fc.oneof({ maxDepth: 4 }, leaf, tie('object'), fc.array(tie('value'), { maxLength: 4 })),
  object: fc.dictionary(names, tie('value'), { maxKeys: 5 }),
}))

suite('strict JSON', () => {
  test('reads every ordinary object as JSON.parse does, however it is spaced', () => {
    fc.assert(
      fc.property(object, fc.constantFrom(undefined, 1, '\t'), (value, space) => {
        const text = JSON.stringify(value, undefined, space)
        const result = parse(text, 40)
        assert.ok(result.ok, text)
        assert.deepEqual(result.value, JSON.parse(text))
      }),
      { numRuns: 500 },
    )
  })

  test('finds a name that is written twice, wherever it is and however it is escaped', () => {
    fc.assert(
      fc.property(object, names, fc.boolean(), (value, name, isInside) => {
        const plain = JSON.stringify(name)
        const escaped = `"${name.split('').map(unicodeEscape).join('')}"`
        const twice = `{${plain}:1,"other":${JSON.stringify(value)},${escaped}:2}`
        const result = parse(isInside ? `{"list":[${twice}]}` : twice, 40)
        assert.ok(!result.ok)
      }),
      { numRuns: 300 },
    )
  })

  test('takes one name in two objects, and braces and quotes within strings', () => {
    assert.ok(parse('{"a":{"b":1},"c":{"b":2},"d":[{"b":3},{"b":4}],"e":"b"}').ok)
    assert.ok(parse(String.raw`{"a":"{\"a\":1,\"a\":2}","b":"\\","c":"\\\"","d":"[[[["}`).ok)
  })

  for (const [what, text] of [
    ['a name twice after an escaped backslash', String.raw`{"x":"\\","a":1,"a":2}`],
    ['__proto__ further in', '{"a":[{"__proto__":1}]}'],
    ['a lone surrogate in a name', String.raw`{"\udc00":1}`],
    ['surrogates in the wrong order', String.raw`{"a":"\udc00\ud800"}`],
    ['a negative number that is too large', '{"a":-1e400}'],
    ['a long integer that is too large', `{"a":${'9'.repeat(400)}}`],
    ['a byte order mark', '\ufeff{}'],
    ['something after the object', '{}{}'],
    ['a comment', '{}//'],
    ['a comma at the end', '{"a":1,}'],
    ['null', 'null'],
  ] as const)
    test(`refuses ${what}`, () => {
      assert.ok(!parse(text).ok)
    })

  test('says the same of a text without escapes as of one that has them', () => {
    const word = fc.constantFrom('"a"', '"b"', '"ä{"', '"[:,"', '"__proto__"', '""')
    const { text } = fc.letrec<{ value: string; text: string }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 5, withCrossShrink: true },
        fc.oneof(word, fc.constantFrom('1', '-1.5e3', '1e999', 'true', 'null', '[]', '{}')),
        tie('text'),
        fc.array(tie('value'), { maxLength: 3 }).map((all) => `[ ${all.join(' ,')}]`),
      ),
      text: fc
        .array(fc.tuple(word, tie('value')), { maxLength: 4 })
        .map((all) => `{${all.map(([name, value]) => `${name} :${value}`).join(', ')} }`),
    }))
    const seen = { good: 0, bad: 0 }
    fc.assert(
      fc.property(text, (inner) => {
        const of = (name: string) => parse(`{${name}:1,"inner":${inner}}`, 5)
        const plain = of('"xx"')
        const escaped = of(String.raw`"\u0078x"`)
        assert.deepEqual(plain, escaped, inner)
        seen[plain.ok ? 'good' : 'bad']++
      }),
      { numRuns: 3000 },
    )
    assert.ok(seen.good > 100 && seen.bad > 100, JSON.stringify(seen))
  })

  test('bounds the depth exactly', () => {
    assert.ok(parse('{"a":[{"b":1}]}', 3).ok)
    assert.ok(!parse('{"a":[{"b":[]}]}', 3).ok)
    assert.ok(!parse(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`).ok)
  })

  test('says nothing of what was in the text', () => {
    const result = parse('{"password": hunter2}')
    assert.ok(!result.ok && !result.fault.includes('hunter2'))
  })
})

function unicodeEscape(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}
