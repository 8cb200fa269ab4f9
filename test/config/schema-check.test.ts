import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Ajv } from 'ajv'
import { parse } from 'yaml'
import { formats } from '#config/formats'
import { pointerTo, replaceAt, valueAt } from '#config/pointer'
import { schemaCheck, type JsonSchema } from '#config/schema-check'
import { schemas } from '#config/schemas'

const folder = join(import.meta.dirname, '../../config')
const example = (kind: string): object => {
  const read = (name: string) =>
    parse(readFileSync(join(folder, `${name}.example.yaml`), 'utf8')) as Record<string, unknown>
  const { include, ...own } = read(kind)
  assert.ok(include !== undefined)
  return { ...read('shared'), ...own }
}

const referee = (schema: JsonSchema) =>
  new Ajv({
    strict: false,
    formats: Object.fromEntries(
      Object.entries(formats).map(([name, complaint]) => [
        name,
        (text: string) => complaint(text) === undefined,
      ]),
    ),
  }).compile(withoutDefaulted(schema))

/** What has a default need not be there, and a map takes no keys but those of its pattern. */
const withoutDefaulted = (schema: JsonSchema): JsonSchema => {
  const within = (inner: Readonly<Record<string, JsonSchema>>) =>
    Object.fromEntries(Object.entries(inner).map(([key, one]) => [key, withoutDefaulted(one)]))
  const { properties, patternProperties, items, anyOf, required } = schema
  return {
    ...schema,
    ...(properties && { properties: within(properties) }),
    ...(patternProperties && {
      patternProperties: within(patternProperties),
      additionalProperties: false,
    }),
    ...(items && { items: withoutDefaulted(items) }),
    ...(anyOf && { anyOf: anyOf.map(withoutDefaulted) }),
    ...(required && {
      required: required.filter((key) => properties?.[key]?.default === undefined),
    }),
  }
}

const judge = (schema: JsonSchema): ((value: unknown) => boolean) => {
  const check = schemaCheck(schema)
  return (value) => {
    let violations = 0
    check(value, '', {
      violated: () => void violations++,
      file: () => {},
      secret: () => {},
      show: String,
    })
    return violations === 0
  }
}

const pointersIn = (value: unknown, pointer = ''): string[] => [
  pointer,
  ...(typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([key, inner]) => pointersIn(inner, pointerTo(pointer, key)))
    : []),
]

const strangers: readonly unknown[] = [null, '', 'é😀', -1, 1e12, ['', ''], { constructor: 1 }]

for (const kind of ['gateway', 'exchange'] as const)
  test(`what ajv refuses of a spoilt ${kind} configuration is refused, and nothing else`, () => {
    const schema = schemas[kind]
    const [says, isRight] = [referee(schema), judge(schema)]
    const whole = example(kind)
    const [, ...pointers] = pointersIn(whole)
    let refused = 0
    const compare = (spoilt: unknown, what: string) => {
      const expected = says(spoilt)
      if (!expected) refused += 1
      assert.equal(isRight(spoilt), expected, what)
    }
    compare(whole, 'as it is')
    for (const pointer of pointers) {
      for (const stranger of strangers) {
        const spoilt = structuredClone(whole)
        replaceAt(spoilt, pointer, stranger)
        compare(spoilt, `${JSON.stringify(stranger).slice(0, 40)} at ${pointer}`)
      }
      const inner = valueAt(whole, pointer)
      if (typeof inner !== 'object' || inner === null) continue
      for (const key of Object.keys(inner)) {
        const { [key]: _, ...less } = inner as Record<string, unknown>
        const spoilt = structuredClone(whole)
        replaceAt(spoilt, pointer, Array.isArray(inner) ? Object.values(less) : less)
        compare(spoilt, `no ${key} at ${pointer}`)
      }
      const more = structuredClone(whole)
      replaceAt(more, pointer, Array.isArray(inner) ? [...inner, inner[0]] : { ...inner, more: 1 })
      compare(more, `more at ${pointer}`)
    }
    assert.ok(refused > 500, `${refused} were refused`)
  })

test('a schema with a word or a format that is not checked stops the start', () => {
  const check = (schema: object) => () => judge(schema)('text')
  assert.throws(check({ type: 'string', maxBytes: 3 }), /maxBytes/)
  assert.throws(check({ type: 'string', format: 'colour' }), /colour/)
})
