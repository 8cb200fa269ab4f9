import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parse } from 'yaml'
import type { PolicyInput } from '#contract/policy'
import { noLog, noMeter } from '#contract/telemetry'
import { loadPolicyBundle } from '#plugins/policy/bundle'
import { policyEngine } from '#plugins/policy/engine'
import { inputOf, optionsOf } from './policies.ts'

type Routes = {
  readonly routes: readonly {
    readonly id: string
    readonly authenticate: unknown
    readonly policy?: { readonly requires?: PolicyInput['route']['requires'] }
  }[]
}

const example = new URL('../../../config/gateway.example.yaml', import.meta.url)
const { routes } = parse(readFileSync(example, 'utf8')) as Routes
const engine = policyEngine(loadPolicyBundle(optionsOf()), optionsOf(), {
  meter: noMeter,
  log: noLog,
})

const staff = { realm_access: { roles: ['shop-admin'] }, scope: 'orders', tenant: 'acme' }
const anonymous = { kind: 'anonymous', spiffeId: null, issuer: null, claims: {} } as const

test('the shipped policy lets an administrator of the example configuration through every route', async () => {
  assert.ok(routes.length > 2)
  for (const { id, authenticate, policy } of routes) {
    const requires = policy?.requires ?? {}
    const subject = authenticate === 'none' ? anonymous : { claims: staff }
    const result = await engine.decide(inputOf({ requires, subject }))
    assert.ok(result.ok, `${id}: ${JSON.stringify(result)}`)
  }
})

test('and nobody in particular through those that ask who is calling', async () => {
  const asking = routes.filter(({ authenticate }) => authenticate !== 'none')
  assert.ok(asking.length > 1)
  for (const { id, policy } of asking) {
    const requires = policy?.requires ?? {}
    assert.ok(!(await engine.decide(inputOf({ requires, subject: anonymous }))).ok, id)
  }
})
