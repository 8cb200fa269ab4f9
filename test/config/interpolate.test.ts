import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { interpolate } from '#config/interpolate'
import { parseSource } from '#config/yaml-source'

const environment = { HOST: 'a.example', PORT: '8443', EMPTY: '', ON: 'true', TRICK: '${HOST}: {' }

suite('variables are filled in', () => {
  const rows: readonly (readonly [written: string, filled: string])[] = [
    ['https://${HOST}:${PORT}/', 'https://a.example:8443/'],
    ['${UNSET:-there}', 'there'],
    ['${UNSET:-}', ''],
    ['${EMPTY:-there}', 'there'],
    ['${EMPTY}', ''],
    ['${HOST:-there}', 'a.example'],
    ['$${HOST} costs $5', '${HOST} costs $5'],
    ['spiffe://mesh/{sub}', 'spiffe://mesh/{sub}'],
    ['^[a-z]+$', '^[a-z]+$'],
    ['${TRICK}', '${HOST}: {'],
  ]
  for (const [written, filled] of rows)
    test(written, () =>
      assert.deepEqual(interpolate(written, environment), { text: filled, complaints: [] }),
    )
})

suite('what cannot be filled in is told and left as it was', () => {
  for (const written of ['${UNSET}', '${', '${HO ST}', '${1}', '${constructor}', '${A:-${B}}'])
    test(written, () => {
      const { text, complaints } = interpolate(written, environment)
      assert.ok(complaints.length > 0)
      assert.ok(text.includes('${'))
    })
})

test('a variable of any length is not taken', () => {
  assert.equal(interpolate('${X}', { X: 'x'.repeat(40_000) }).complaints.length, 1)
})

test('without quotes it is read as a number or a boolean, with quotes as text', () => {
  const { source } = parseSource(
    'a: ${PORT}\nb: "${PORT}"\nc: ${ON}\nd: ${EMPTY}\ne: ${PORT}0\nf: ${TRICK}\n',
    'a.yaml',
    environment,
  )
  assert.deepEqual(source?.value, { a: 8443, b: '8443', c: true, d: '', e: 84430, f: '${HOST}: {' })
})
