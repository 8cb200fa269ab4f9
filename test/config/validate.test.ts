import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Type } from 'typebox'
import { validate } from '#config/validate'

const Kind = (source: string, size: number) =>
  Type.Object(
    {
      source: Type.Literal(source),
      size: Type.Integer({ default: size }),
      file: Type.Optional(Type.String({ format: 'file', access: 'write' })),
    },
    { additionalProperties: false },
  )
const Either = Type.Object({ one: Type.Union([Kind('a', 1), Kind('b', 2)]) })
const unseen = () => undefined

test('the kind that was meant gets its own defaults, and its files are noted', () => {
  const config = { one: { source: 'b', file: 'x' } }
  assert.deepEqual(validate(Either, config, unseen), {
    findings: [],
    files: [{ pointer: '/one/file', access: 'write', holds: undefined }],
    secrets: [],
  })
  assert.deepEqual(config, { one: { source: 'b', size: 2, file: 'x' } })
})

test('a map takes no key that is not of its pattern, whether its schema says so or not', () => {
  const Map = Type.Record(Type.String({ pattern: '^[a-z]+$' }), Type.Integer())
  const { findings } = validate(Type.Object({ map: Map }), { map: { ok: 1, '0': 2 } }, unseen)
  assert.deepEqual(
    findings.map(({ pointer }) => pointer),
    ['/map/0'],
  )
})

test('a key with a slash is found where it stands', () => {
  const Strict = Type.Object({ a: Type.Optional(Type.Integer()) }, { additionalProperties: false })
  const { findings } = validate(Strict, { 'b/~c': 1 }, unseen)
  assert.deepEqual(
    findings.map(({ pointer }) => pointer),
    ['/b~1~0c'],
  )
})
