import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { overlappingIdentities } from '#config/rules/overlapping-identities'
import { subjectOf } from '#config/rules/rule'
import type { IdentityRule } from '#config/schema'
import type { VerifiedToken } from '#identity/jwt/verified-token'
import { identityMapping } from '#identity/mapping'

type Match = IdentityRule['match']

const rulesOf = (matches: readonly Match[]): IdentityRule[] =>
  matches.map((match, i) => ({
    name: `rule-${i}`,
    issuer: 'main',
    match,
    spiffeId: 'spiffe://mesh.example/x/{sub}',
  }))

const judge = (rules: readonly IdentityRule[]) =>
  overlappingIdentities(subjectOf('gateway', { identities: rules }, [], []))

suite('two rules of one issuer', () => {
  const rows: readonly (readonly [name: string, a: Match, b: Match, said?: 'fault' | 'warning'])[] =
    [
      ['that ask for nothing', {}, {}, 'fault'],
      ['of which one asks for nothing', { azp: 'a' }, {}, 'fault'],
      ['that ask for other claims', { azp: 'a' }, { sub: 'b' }, 'fault'],
      ['that ask for other values', { azp: 'a' }, { azp: 'b' }],
      [
        'that ask for lists with a value in common',
        { azp: ['a', 'b'] },
        { azp: ['b', 'c'] },
        'fault',
      ],
      ['that ask for lists without one', { azp: ['a', 'b'] }, { azp: ['c'] }],
      ['told apart by one of two claims', { azp: 'a', x: '1' }, { azp: 'a', x: '2' }],
      ['told apart by a claim that is a list', { groups: 'a' }, { groups: 'b' }, 'warning'],
      [
        'told apart by a nested claim that is a list',
        { 'realm_access.roles': 'a' },
        { 'realm_access.roles': 'b' },
        'warning',
      ],
      [
        'told apart by a list and by another claim',
        { groups: 'a', azp: '1' },
        { groups: 'b', azp: '2' },
      ],
      ['that ask for `constructor`', { constructor: 'a' }, { azp: 'b' }, 'fault'],
    ]
  for (const [name, a, b, said] of rows)
    test(name, () => {
      const found = judge(rulesOf([a, b]))
      assert.deepEqual(
        found.map(({ severity = 'fault' }) => severity),
        said === undefined ? [] : [said],
      )
    })
})

test('rules of two issuers never overlap', () => {
  const [a, b] = rulesOf([{}, {}])
  assert.ok(a && b)
  assert.deepEqual(judge([a, { ...b, issuer: 'other' }]), [])
})

/** Every token there can be of three values of four claims, one of which is a list. */
const tokens: readonly VerifiedToken[] = (() => {
  const values = [undefined, '1', '2', '3']
  const lists = [undefined, ['1'], ['2'], ['3'], ['1', '2'], ['2', '3'], ['1', '3']]
  return values.flatMap((azp) =>
    values.flatMap((sub) =>
      values.flatMap((tenant) => lists.map((groups) => tokenWith({ azp, sub, tenant, groups }))),
    ),
  )
})()

function tokenWith(claims: Readonly<Record<string, unknown>>): VerifiedToken {
  return {
    issuerName: 'main',
    issuer: 'https://login.example',
    subject: 'someone',
    audiences: ['api'],
    claims: Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined)),
    kid: 'k',
    jti: undefined,
    issuedAtMs: undefined,
    expiresAtMs: 0,
    fingerprint: 'f',
    comesAgain: false,
  }
}

test('it finds exactly the rules that the mapping itself would stumble over', () => {
  const value = fc.constantFrom('1', '2', '3')
  const match: fc.Arbitrary<Match> = fc.dictionary(
    fc.constantFrom('azp', 'sub', 'tenant', 'groups'),
    fc.oneof(value, fc.uniqueArray(value, { minLength: 1, maxLength: 2 })),
    { maxKeys: 3, noNullPrototype: true },
  )
  const counts = { fault: 0, warning: 0, none: 0 }
  fc.assert(
    fc.property(match, match, (a, b) => {
      const rules = rulesOf([a, b])
      const mapping = identityMapping(
        rules.map((rule) => ({ ...rule, spiffeId: 'spiffe://mesh.example/x' })),
        'mesh.example',
      )
      const stumbling = tokens.filter((token) => {
        const mapped = mapping(token)
        return !mapped.ok && /all fit/.test(String(mapped.problem.cause))
      })
      const onLists = stumbling.every(({ claims }) => (claims['groups'] as unknown[])?.length > 1)
      const expected = stumbling.length === 0 ? 'none' : onLists ? 'warning' : 'fault'
      const [found] = judge(rules)
      assert.equal(found === undefined ? 'none' : (found.severity ?? 'fault'), expected)
      counts[expected]++
    }),
    { numRuns: 300, seed: 7 },
  )
  assert.ok(Math.min(...Object.values(counts)) > 10, JSON.stringify(counts))
})

suite('two rules by the SPIFFE ID of their subject', () => {
  const jobs = 'spiffe://partner.example/jobs/{job}'
  const rows = [
    [{ subject: jobs }, { subject: 'spiffe://partner.example/{kind}/nightly' }, 1],
    [{ subject: jobs }, { subject: 'spiffe://partner.example/ns/{name}' }, 0],
    [{ subject: jobs }, { subject: `${jobs}/{run}` }, 0],
    [{ subject: jobs }, { match: { sub: 'spiffe://partner.example/jobs/a' } }, 1],
    [{ subject: jobs }, { match: { sub: ['alice', 'spiffe://partner.example/ns/a'] } }, 0],
    [{ subject: jobs }, {}, 1],
    [{ subject: jobs, match: { x: '1' } }, { subject: jobs, match: { x: '2' } }, 0],
  ] as const
  for (const [a, b, faults] of rows)
    test(`${JSON.stringify(a)} and ${JSON.stringify(b)}`, () => {
      const [one, other] = rulesOf([{}, {}])
      assert.ok(one && other)
      const rules = [
        { ...one, ...a },
        { ...other, ...b },
      ] as IdentityRule[]
      assert.equal(judge(rules).length, faults)
      assert.equal(judge(rules.toReversed()).length, faults)
    })
})

test('ten thousand rules take no long time', () => {
  const startedMs = performance.now()
  const rules = rulesOf(Array.from({ length: 10_000 }, (_, i) => ({ sub: `${i}`, azp: 'a' })))
  assert.deepEqual(judge(rules), [])
  assert.ok(performance.now() - startedMs < 5000)
})
