import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  compareRoutes,
  prefixSegments,
  routePrecedence,
  segmentsOf,
  type RouteShape,
} from '#contract/route-order'

/** From the one that is tried first to the one that is tried last. */
const inOrder: readonly RouteShape[] = [
  { path: { exact: '/a/b/c' } },
  { path: { exact: '/a' }, methods: ['GET'], headers: { x: '1' } },
  { path: { exact: '/a' }, methods: ['GET'] },
  { path: { exact: '/a' }, headers: { x: '1', y: '1' } },
  { path: { exact: '/a' }, headers: { x: '1' } },
  { path: { exact: '/a' } },
  { path: { pattern: '/a/*/c' }, methods: ['GET'] },
  { path: { pattern: '/a/*/c' } },
  { path: { pattern: '/a/*/c/**' } },
  { path: { pattern: '/*/*/c' } },
  { path: { pattern: '/a/*' } },
  { path: { pattern: '/*' } },
  { path: { pattern: '/**' } },
  { path: { prefix: '/a/b/c/d' } },
  { path: { prefix: '/a/b' }, headers: { x: '1' } },
  { path: { prefix: '/a/b' } },
  { path: { prefix: '/a' } },
  { path: { prefix: '/' }, methods: ['GET'] },
  { path: { prefix: '/' } },
]

test('the more specific of two routes is tried first, whichever stands first', () => {
  for (const [i, first] of inOrder.entries())
    for (const [j, second] of inOrder.entries())
      assert.equal(
        Math.sign(compareRoutes(first, second)),
        Math.sign(i - j),
        `${JSON.stringify(first)} and ${JSON.stringify(second)}`,
      )
})

test('what cannot be told apart has the same precedence', () => {
  for (const [a, b] of [
    [{ path: { pattern: '/a/*' } }, { path: { pattern: '/*/b' } }],
    [
      { path: { exact: '/a' }, methods: ['GET'] },
      { path: { exact: '/a' }, methods: ['GET', 'POST'] },
    ],
    [
      { path: { exact: '/a' }, headers: { x: '1' } },
      { path: { exact: '/a' }, headers: { y: '1' } },
    ],
  ] as const)
    assert.equal(compareRoutes(a, b), 0)
})

test('a path of any length keeps its kind', () => {
  const long = '/a'.repeat(5000)
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`x-${i}`, '1']))
  const most = { path: { prefix: long }, methods: ['GET'], headers: many }
  assert.ok(routePrecedence(most) < routePrecedence({ path: { pattern: '/**' } }))
  assert.ok(Number.isSafeInteger(routePrecedence({ ...most, path: { exact: long } })))
})

test('segments', () => {
  assert.deepEqual(segmentsOf('/'), [''])
  assert.deepEqual(segmentsOf('/a/b/'), ['a', 'b', ''])
  assert.deepEqual(prefixSegments('/'), [])
  assert.deepEqual(prefixSegments('/a/b'), ['a', 'b'])
  assert.deepEqual(prefixSegments('/a/'), ['a'])
})
