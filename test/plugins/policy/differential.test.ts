// What the committed module decides is what OPA decides from the sources: only this exercises the module as shipped.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { policyDirectory } from '#config/policy/sources'
import type { PolicyInput } from '#contract/policy'
import { loadPolicyBundle } from '#plugins/policy/bundle'
import { inputOf, needsOpa, optionsOf, runOpa } from './policies.ts'

const entrypoints = ['decision', 'exchange'] as const
const hourMs = 3_600_000
const noonMs = inputOf().nowMs

const requirements: readonly PolicyInput['route']['requires'][] = [
  {},
  { public: true },
  { public: false, methods: ['GET'] },
  { public: 'yes' },
  { kinds: ['external', 'mesh'] },
  { kinds: [] },
  { roles: { any: ['viewer', 'deployer'] } },
  { roles: { all: ['viewer', 'editor'] } },
  { roles: { any: ['admin'], all: ['viewer'] } },
  { roles: ['viewer'] },
  { scopes: ['orders', 'refunds', 'openid'] },
  { tenant: { segment: 1 } },
  { tenant: { segment: 7 } },
  { tenant: { segment: 1.5 } },
  { tenant: { segment: -1 } },
  { methods: ['PUT', 'GET'], window: 'office-hours' },
  { window: 'nightly' },
  { window: 'none' },
  { role: { any: ['viewer'] }, ünknown: ['ключ', 1, null] },
]
const subjects: readonly Partial<PolicyInput['subject']>[] = [
  {},
  { kind: 'anonymous', spiffeId: null, issuer: null, claims: {} },
  { spiffeId: null },
  { issuer: 'pipelines', kind: 'serverless', claims: { repository: 'example/shop' } },
  { issuer: 'stranger' },
  {
    claims: { realm_access: { roles: ['shop-admin', 'shop-viewer', 7, null] }, scope: ['orders'] },
  },
  { claims: { realm_access: 'shop-admin', tenant: ['acme'], scope: 7 } },
  { claims: { realm_access: { roles: 'shop-viewer offline' }, tenant: 'ключ' } },
]
const times = [-9, -4.5, -4, 0, 5.5, 6, 10, 11.999, 17.5, 18, 60, 84, 108, 24 * 200].map(
  (hours) => noonMs + hours * hourMs,
)

const cases: readonly PolicyInput[] = [
  ...requirements.flatMap((requires) => subjects.map((subject) => inputOf({ requires, subject }))),
  ...requirements.map((requires) => inputOf({ requires, direction: 'exchange' })),
  ...subjects.map((subject) =>
    inputOf({ requires: { public: true }, direction: 'egress', subject }),
  ),
  ...times.flatMap((nowMs) =>
    ['office-hours', 'nightly'].map((window) => inputOf({ requires: { window }, nowMs })),
  ),
  {} as PolicyInput,
]

test('the module decides as OPA does', needsOpa, () => {
  const query = entrypoints.map(
    (name) => `"${name}": [d | some c in input; d := data.sallyport.${name} with input as c]`,
  )
  const data = ['decision', 'requirements', 'subject', 'clock'].flatMap((name) => [
    '--data',
    join(policyDirectory, `${name}.rego`),
  ])
  const output = runOpa(
    [
      'eval',
      '--format',
      'json',
      '--stdin-input',
      ...data,
      '--data',
      join(policyDirectory, 'data.json'),
      `{${query.join()}}`,
    ],
    JSON.stringify(cases),
  )
  const [{ expressions }] = (
    JSON.parse(output) as { result: [{ expressions: [{ value: Record<string, unknown[]> }] }] }
  ).result
  const expected = expressions[0].value

  const allowed = new Set<boolean>()
  for (const name of entrypoints) {
    const evaluate = loadPolicyBundle(optionsOf({ entrypoint: `sallyport/${name}` })).instantiate()
    assert.equal(expected[name]?.length, cases.length)
    for (const [i, input] of cases.entries()) {
      const decided = evaluate(JSON.stringify(input)) as [{ result: { allow: boolean } }]
      assert.deepEqual(decided, [{ result: expected[name]?.[i] }], JSON.stringify(input))
      allowed.add(decided[0].result.allow)
    }
  }
  assert.ok(cases.length > 150)
  assert.equal(allowed.size, 2, 'the cases must hold some of each')
})
