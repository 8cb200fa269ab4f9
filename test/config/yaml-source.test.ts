import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { formatFault } from '#config/faults'
import { parseSource } from '#config/yaml-source'

const faultsOf = (text: string, environment = {}): string[] =>
  parseSource(text, 'a.yaml', environment).faults.map((fault) =>
    formatFault(fault).replace(/ — .*/s, ''),
  )

const valueOf = (text: string, environment = {}): unknown => {
  const { source, faults } = parseSource(text, 'a.yaml', environment)
  assert.deepEqual(faults, [])
  return source?.value
}

suite('what is not a configuration says where and why', () => {
  const rows: readonly (readonly [name: string, text: string, ...faults: string[]])[] = [
    [
      'a tab as indentation',
      'a:\n\tb: 1\n',
      'a.yaml:2:1: not well-formed YAML: Tabs are not allowed as indentation',
    ],
    [
      'a quote that does not end',
      'a: "b\n',
      'a.yaml:2:1: not well-formed YAML: Missing closing "quote',
    ],
    ['two documents', 'a: 1\n---\nb: 2\n', 'a.yaml:2:1: there is more than one document here'],
    ['a list', '- 1\n', 'a.yaml:1:1: this is not a configuration'],
    ['nothing', '', 'a.yaml:1:1: this is not a configuration'],
    ['a key twice', 'a: 1\nb: 2\na: 3\n', 'a.yaml:3:1: `a` stands here twice'],
    ['a key that is a list', '? [a]\n: 1\n', 'a.yaml:1:3: this cannot be a key'],
    [
      'a key that would reach for the prototype',
      '__proto__: 1\n',
      'a.yaml:1:1: this cannot be a key',
    ],
    [
      'a tag',
      'a: !!binary aGk=\n',
      'a.yaml:1:4: the tag `tag:yaml.org,2002:binary` has no meaning here',
    ],
    ['YAML 1.1, where `no` is false', '%YAML 1.1\n---\na: no\n', 'a.yaml:1:1: this is YAML 1.1'],
    [
      'a host that is an alias',
      'host: *.example\n',
      'a.yaml:1:7: `*.example` is an alias in YAML, and nothing is called `.example`',
    ],
    ['an alias that contains itself', 'a: &x [*x]\n', 'a.yaml:1:8: this alias contains itself'],
    [
      'an unset variable',
      'a:\n  - ${NOT_SET}\n',
      'a.yaml:2:5: the environment variable `NOT_SET` is not set',
    ],
  ]
  for (const [name, text, ...faults] of rows)
    test(name, () => assert.deepEqual(faultsOf(text), faults))
})

test('aliases are followed', () => {
  assert.deepEqual(valueOf('a: &x { b: 1 }\nc: *x\nd: [*x, &y 2, *y]\n'), {
    a: { b: 1 },
    c: { b: 1 },
    d: [{ b: 1 }, 2, 2],
  })
})

test('aliases that multiply are stopped', () => {
  const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
  for (let i = 1; i < 12; i++)
    bomb.push(`a${i}: &a${i} [${Array.from({ length: 10 }, () => `*a${i - 1}`).join(', ')}]`)
  assert.deepEqual(faultsOf(bomb.join('\n')), ['a.yaml:1:1: there is more here than is read'])
})

test('aliases cannot multiply what a variable holds without bound', () => {
  const long = 'x'.repeat(30_000)
  const text = `a: &a ["\${X}"]\nb: &b [${'*a, '.repeat(100)}]\nc: [${'*b, '.repeat(100)}]\n`
  assert.deepEqual(faultsOf(text, { X: long }), ['a.yaml:1:1: there is more here than is read'])
})

test('nesting is bounded', () => {
  assert.deepEqual(
    faultsOf(`a: ${'['.repeat(50)}${']'.repeat(50)}\n`).map((fault) => fault.replace(/^\S+ /, '')),
    ['this is nested too deeply'],
  )
})

test('keys are text as they were written', () => {
  assert.deepEqual(valueOf('8443: a\ntrue: b\nnull: c\n'), { '8443': 'a', true: 'b', null: 'c' })
})

test('a place is that of the key or of its value', () => {
  const { source } = parseSource('# a comment\na:\n  - b: 1\n    c: "${D}"\n', 'a.yaml', { D: '' })
  assert.ok(source)
  assert.deepEqual(source.locate('/a/0/c'), {
    key: { line: 4, column: 5 },
    value: { line: 4, column: 8 },
    written: '${D}',
  })
  assert.deepEqual(source.locate('/a').key, { line: 2, column: 1 })
  // What is missing would stand in the mapping above.
  assert.deepEqual(source.locate('/a/0/d').key, { line: 3, column: 5 })
})

test('a place is found through an alias', () => {
  const { source } = parseSource('a: &x\n  b: 1\nc: *x\n', 'a.yaml', {})
  assert.deepEqual(source?.locate('/c/b').value, { line: 2, column: 6 })
})
