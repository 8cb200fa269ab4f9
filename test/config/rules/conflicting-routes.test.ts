import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { compareRoutes, segmentsOf, prefixSegments, type PathShape } from '#contract/route-order'
import { conflictingRoutes } from '#config/rules/conflicting-routes'
import { subjectOf } from '#config/rules/rule'

type Match = {
  readonly hosts: readonly string[]
  readonly path: PathShape
  readonly methods?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
}

/** What the rule says of routes `a`, `b`, `c` … with these matches. */
const judge = (matches: readonly Match[]) => {
  const routes = matches.map((match, i) => ({ id: name(i), match }))
  return conflictingRoutes(subjectOf('gateway', { routes }, [], []))
}
const name = (i: number) => String.fromCharCode(97 + i)

const at = (path: PathShape, more: Partial<Match> = {}): Match => ({ hosts: ['h'], path, ...more })

const ambiguous = /neither is more specific/
const shadowed = /is never reached/

suite('two routes on one host', () => {
  const rows: readonly (readonly [name: string, a: Match, b: Match, said?: RegExp])[] = [
    ['the same path', at({ exact: '/a' }), at({ exact: '/a' }), ambiguous],
    [
      'the same path for other methods',
      at({ exact: '/a' }, { methods: ['GET'] }),
      at({ exact: '/a' }, { methods: ['POST'] }),
    ],
    [
      'the same path, methods in common',
      at({ exact: '/a' }, { methods: ['GET', 'PUT'] }),
      at({ exact: '/a' }, { methods: ['PUT', 'POST'] }),
      /match `PUT \/a` on h/,
    ],
    [
      'the same path, one for some methods',
      at({ exact: '/a' }),
      at({ exact: '/a' }, { methods: ['GET'] }),
    ],
    [
      'the same path, other values of a header',
      at({ exact: '/a' }, { headers: { x: '1' } }),
      at({ exact: '/a' }, { headers: { x: '2' } }),
    ],
    [
      'the same path, other headers',
      at({ exact: '/a' }, { headers: { x: '1' } }),
      at({ exact: '/a' }, { headers: { y: '1' } }),
      /on h with [xy]: 1, [xy]: 1, and neither/,
    ],
    [
      'the same path, one with more headers',
      at({ exact: '/a' }, { headers: { x: '1' } }),
      at({ exact: '/a' }, { headers: { x: '1', y: '1' } }),
    ],
    ['an exact path within a prefix', at({ prefix: '/' }), at({ exact: '/a' })],
    ['a prefix within a prefix', at({ prefix: '/a' }), at({ prefix: '/a/b' })],
    ['two prefixes', at({ prefix: '/a' }), at({ prefix: '/b' })],
    ['prefixes that share letters, not segments', at({ prefix: '/ab' }), at({ prefix: '/a' })],
    [
      'patterns that cross',
      at({ pattern: '/*/b' }),
      at({ pattern: '/a/*' }),
      /match `GET \/a\/b` on h/,
    ],
    ['patterns that cross, one longer', at({ pattern: '/*/b/**' }), at({ pattern: '/a/*/c' })],
    ['patterns that cannot meet', at({ pattern: '/a/*' }), at({ pattern: '/b/*' })],
    ['a pattern and one with fewer stars', at({ pattern: '/a/*' }), at({ pattern: '/a/b' })],
    ['an open pattern and the same closed', at({ pattern: '/a/*/**' }), at({ pattern: '/a/*' })],
    ['a star does not take an empty segment', at({ pattern: '/a/*' }), at({ pattern: '/a/' })],
    [
      'an open pattern over a longer prefix',
      at({ pattern: '/a/**' }),
      at({ prefix: '/a/b' }),
      shadowed,
    ],
    ['an open pattern over a shorter prefix', at({ pattern: '/a/b/**' }), at({ prefix: '/a' })],
    [
      'an open pattern for one method over a prefix',
      at({ pattern: '/a/**' }, { methods: ['GET'] }),
      at({ prefix: '/a/b' }),
    ],
    [
      'an open pattern for a method over a prefix for the same',
      at({ pattern: '/a/**' }, { methods: ['GET'] }),
      at({ prefix: '/a/b' }, { methods: ['GET'] }),
      shadowed,
    ],
    [
      'an exact path over the same as a pattern',
      at({ exact: '/a' }),
      at({ pattern: '/a' }, { methods: ['GET'] }),
      shadowed,
    ],
  ]
  for (const [what, a, b, said] of rows)
    test(what, () => {
      for (const pair of [
        [a, b],
        [b, a],
      ]) {
        const found = judge(pair)
        assert.equal(found.length, said === undefined ? 0 : 1, JSON.stringify(found))
        if (said !== undefined) assert.match(found[0]?.message ?? '', said)
      }
    })
})

test('routes of different hosts do not meet, wildcard or not', () => {
  const path = { exact: '/a' }
  assert.deepEqual(judge([at(path, { hosts: ['a.h'] }), at(path, { hosts: ['b.h', '*.h'] })]), [])
})

test('two routes that meet on several hosts are told once', () => {
  const both = at({ exact: '/a' }, { hosts: ['x', 'y', 'z'] })
  assert.equal(judge([both, both]).length, 1)
})

// A naive reading of the same words, to compare with: few segments, so that every request can be tried.
const segment = fc.constantFrom('a', 'b', '')
const stars = fc.constantFrom('a', 'b', '*', '*')
const pathOf = (segments: readonly string[]) => `/${segments.join('/')}`
const path = fc.oneof(
  fc
    .array(fc.constantFrom('a', 'b'), { maxLength: 2 })
    .chain((first) => segment.map((last): PathShape => ({ exact: pathOf([...first, last]) }))),
  fc
    .array(fc.constantFrom('a', 'b'), { maxLength: 3 })
    .map((all): PathShape => ({ prefix: pathOf(all) })),
  fc
    .tuple(fc.array(stars, { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([all, open]): PathShape => ({ pattern: pathOf(open ? [...all, '**'] : all) })),
)
const some = fc.record(
  {
    hosts: fc.constant(['h']),
    path,
    methods: fc.constantFrom(['GET'], ['POST'], ['GET', 'POST']),
    headers: fc.constantFrom({ x: '1' }, { x: '2' }, { y: '1' }, { x: '1', y: '1' }),
  },
  { requiredKeys: ['hosts', 'path'] },
)
const bare = path.map((one) => at(one))
const pairs: fc.Arbitrary<readonly [Match, Match]> = fc.oneof(
  fc.tuple(some, some),
  fc.tuple(bare, bare),
  fc.tuple(some, some).map(([a, b]) => [a, { ...b, path: a.path }] as const),
)

const takes = ({ path, methods, headers = {} }: Match, request: Request): boolean =>
  takesPath(path, request.path) &&
  (methods === undefined || methods.includes(request.method)) &&
  Object.entries(headers).every(([key, value]) => request.headers[key] === value)

const takesPath = (shape: PathShape, requested: string): boolean => {
  if ('exact' in shape) return shape.exact === requested
  const segments = segmentsOf(requested)
  const [wanted, open] =
    'prefix' in shape
      ? [prefixSegments(shape.prefix), true]
      : shape.pattern.endsWith('/**')
        ? [segmentsOf(shape.pattern).slice(0, -1), true]
        : [segmentsOf(shape.pattern), false]
  if (open ? segments.length < wanted.length : segments.length !== wanted.length) return false
  return wanted.every((one, i) => {
    if (one === '*' && 'pattern' in shape) return segments[i] !== ''
    return one === segments[i]
  })
}

type Request = {
  readonly method: string
  readonly path: string
  readonly headers: Record<string, string>
}

const requests: readonly Request[] = (() => {
  const names = ['a', 'b', '']
  const one = names.map((a) => [a])
  const two = one.flatMap((all) => names.map((b) => [...all, b]))
  const three = two.flatMap((all) => names.map((c) => [...all, c]))
  const four = three.flatMap((all) => names.map((d) => [...all, d]))
  const some = [{}, { x: '1' }, { x: '2' }, { y: '1' }, { x: '1', y: '1' }, { x: '2', y: '1' }]
  return [...one, ...two, ...three, ...four].flatMap((all) =>
    ['GET', 'POST', 'PUT'].flatMap((method) =>
      some.map((headers) => ({ method, path: pathOf(all), headers })),
    ),
  )
})()

test('the rule agrees with a naive reading of every small request', () => {
  let conflicts = 0
  fc.assert(
    fc.property(pairs, ([a, b]) => {
      const both = requests.filter((request) => takes(a, request) && takes(b, request))
      const order = compareRoutes(a, b)
      const said = judge([a, b]).map(({ message }) => message)
      if (order === 0) {
        assert.equal(
          said.some((words) => ambiguous.test(words)),
          both.length > 0,
          said.join(),
        )
      } else {
        const [second] = order < 0 ? [b] : [a]
        const first = order < 0 ? a : b
        const own = requests.filter((request) => takes(second, request))
        const reached = own.some((request) => !takes(first, request))
        assert.equal(
          said.some((words) => shadowed.test(words)),
          !reached,
          said.join(),
        )
      }
      conflicts += said.length
    }),
    { numRuns: 600, seed: 7 },
  )
  assert.ok(conflicts > 40, `only ${conflicts} conflicts: this would have checked little`)
})

test('ten thousand routes take no long time', () => {
  const many = Array.from({ length: 10_000 }, (_, i) =>
    i % 3 === 0
      ? at({ prefix: `/service${i}/orders` })
      : i % 3 === 1
        ? at({ pattern: `/service${i}/*/items` })
        : at({ exact: `/service${i - 1}/one/items` }, { methods: ['GET'] }),
  )
  const startedMs = performance.now()
  assert.deepEqual(judge([at({ prefix: '/' }), ...many]), [])
  assert.ok(performance.now() - startedMs < 5000)
})
