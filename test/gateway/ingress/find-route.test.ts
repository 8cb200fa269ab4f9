import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RequestHead } from '#contract/request-head'
import { routeTable } from '#gateway/ingress/find-route'
import type { CompiledRoute } from '#gateway/ingress/compiled-route'
import type { RouteMatch } from '#config/schema'

const route = (id: string, match: RouteMatch) =>
  ({ id, config: { match } }) as unknown as CompiledRoute
const head = (host: string, path: string, more: Partial<RequestHead> = {}): RequestHead => ({
  method: 'GET',
  host,
  port: undefined,
  path,
  query: '',
  headers: [],
  ...more,
})

const routes = [
  route('all', { hosts: ['api.test'], path: { prefix: '/' } }),
  route('orders', { hosts: ['api.test'], path: { prefix: '/orders' } }),
  route('one order', { hosts: ['api.test'], path: { pattern: '/orders/*' } }),
  route('latest', { hosts: ['api.test'], path: { exact: '/orders/latest' } }),
  route('items', { hosts: ['api.test'], path: { pattern: '/orders/*/items/**' } }),
  route('new order', { hosts: ['api.test'], path: { exact: '/orders' }, methods: ['POST'] }),
  route('beta', { hosts: ['api.test'], path: { prefix: '/orders' }, headers: { 'x-beta': 'yes' } }),
  route('any tenant', { hosts: ['*.api.test'], path: { prefix: '/' } }),
  route('acme', { hosts: ['acme.api.test'], path: { prefix: '/acme' } }),
  route('write', { hosts: ['write.test'], path: { exact: '/x' }, methods: ['PUT', 'DELETE'] }),
]
const { add, find } = routeTable()
for (const route of routes) add(route)

const found = (request: RequestHead): string => {
  const result = find({ head: request })
  assert.ok(!(result instanceof Promise))
  return result.ok ? result.value.id : result.problem.tag
}

for (const [host, path, expected, more] of [
  ['api.test', '/', 'all'],
  ['api.test', '/elsewhere', 'all'],
  ['api.test', '/orders', 'orders'],
  ['api.test', '/orders/', 'orders'],
  ['api.test', '/ordersx', 'all'],
  ['api.test', '/orders/7', 'one order'],
  ['api.test', '/orders/latest', 'latest'],
  ['api.test', '/orders/7/items', 'items'],
  ['api.test', '/orders/7/items/3', 'items'],
  ['api.test', '/orders/7/other', 'orders'],
  ['api.test', '/orders', 'new order', { method: 'POST' }],
  ['api.test', '/orders/7/other', 'beta', { headers: ['x-beta', 'yes'] }],
  ['api.test', '/orders/7/other', 'orders', { headers: ['x-beta', 'no'] }],
  ['acme.api.test', '/acme/1', 'acme'],
  ['acme.api.test', '/other', 'any tenant'],
  ['globex.api.test', '/', 'any tenant'],
  ['a.b.api.test', '/', 'route-unknown'],
  ['elsewhere.test', '/', 'route-unknown'],
  ['constructor', '/', 'route-unknown'],
  ['write.test', '/x', 'method-not-allowed'],
  ['write.test', '/x', 'write', { method: 'PUT' }],
] as const)
  test(`${more && 'method' in more ? more.method : 'GET'} ${host}${path} is ${expected}`, () => {
    assert.equal(found(head(host, path, more)), expected)
  })

test('a method that is not served is told which are', () => {
  const result = find({ head: head('write.test', '/x') })
  assert.ok(!(result instanceof Promise) && !result.ok)
  assert.equal(result.problem.headers?.['Allow'], 'DELETE, PUT')
})
