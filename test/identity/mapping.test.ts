import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { IdentityRule } from '#config/schema'
import { identityMapping } from '#identity/mapping'
import type { VerifiedToken } from '#identity/jwt/verified-token'

const rule = (
  name: string,
  match: IdentityRule['match'],
  spiffeId = `spiffe://mesh.example/${name}`,
  issuer = 'idp',
): IdentityRule => ({ name, issuer, match, spiffeId })

const token = (claims: Record<string, unknown>, issuerName = 'idp'): VerifiedToken => ({
  issuerName,
  issuer: 'https://idp.example.com',
  subject: 'alice',
  audiences: ['api'],
  claims,
  kid: 'k1',
  jti: undefined,
  issuedAtMs: undefined,
  expiresAtMs: 0,
  fingerprint: 'f',
  comesAgain: false,
})

/** The SPIFFE ID, or why there is none. */
const become = (
  rules: readonly IdentityRule[],
  claims: Record<string, unknown>,
  issuer?: string,
) => {
  const result = identityMapping(rules, 'mesh.example')(token(claims, issuer))
  return result.ok
    ? result.value.spiffeId
    : `${result.problem.tag}: ${String(result.problem.cause)}`
}
const refused = (outcome: string, why: RegExp) => {
  assert.match(outcome, /^identity-unmapped: /)
  assert.match(outcome, why)
}

suite('who becomes whom', () => {
  test('no rule, no identity', () => {
    refused(become([], { sub: 'alice' }), /no rule is for issuer idp/)
    refused(become([rule('a', { sub: 'bob' })], { sub: 'alice' }), /fits the claims/)
  })

  test('a rule of another issuer is never looked at', () => {
    refused(become([rule('a', {}, undefined, 'other')], { sub: 'alice' }), /no rule is for issuer/)
  })

  test('all claims have to match, each with one of its values', () => {
    const rules = [rule('a', { tenant: ['t1', 't2'], role: 'admin' })]
    assert.equal(become(rules, { tenant: 't2', role: 'admin' }), 'spiffe://mesh.example/a')
    refused(become(rules, { tenant: 't3', role: 'admin' }), /fits/)
    refused(become(rules, { tenant: 't1' }), /fits/)
  })

  test('a subject is a SPIFFE ID, segment by segment, and its names go into the new one', () => {
    const jobs = {
      ...rule('a', {}, 'spiffe://mesh.example/partner/{job}/{team}'),
      subject: 'spiffe://partner.example/{team}/jobs/{job}',
    }
    const of = (sub: unknown, more = {}) => become([jobs], { sub, ...more })
    assert.equal(
      of('spiffe://partner.example/shop/jobs/nightly', { job: 'root', team: 'admins' }),
      'spiffe://mesh.example/partner/nightly/shop',
    )
    for (const other of [
      'spiffe://partner.example/shop/jobs',
      'spiffe://partner.example/shop/jobs/nightly/x',
      'spiffe://partner.example/shop/Jobs/nightly',
      'spiffe://partner.example.evil/shop/jobs/nightly',
      'spiffe://mesh.example/shop/jobs/nightly',
      'https://partner.example/shop/jobs/nightly',
      ['spiffe://partner.example/shop/jobs/nightly'],
      undefined,
    ])
      refused(of(other), /fits the claims/)
    refused(of('spiffe://partner.example/shop/jobs/..'), /not fit to be a path segment/)
    refused(of('spiffe://partner.example//jobs/x'), /not fit to be a path segment/)
  })

  test('the result names the rule, and the revision of all rules together', () => {
    const resultOf = (...names: readonly string[]) => {
      const rules = names.map((name) => rule(name, name === 'a' ? {} : { sub: 'nobody' }))
      const result = identityMapping(rules, 'mesh.example')(token({}))
      assert.ok(result.ok)
      return result.value
    }
    const { revision, ...mapped } = resultOf('a')
    assert.deepEqual(mapped, { spiffeId: 'spiffe://mesh.example/a', rule: 'a' })
    assert.match(revision, /^[0-9a-f]{12}$/)
    assert.equal(resultOf('a').revision, revision)
    assert.notEqual(resultOf('a', 'b').revision, revision)
  })

  test('a list has to contain the value; booleans and numbers are compared as JSON writes them', () => {
    const rules = [rule('a', { roles: 'admin', email_verified: 'true', level: '42' })]
    const claims = { roles: ['user', 'admin'], email_verified: true, level: 42 }
    assert.equal(become(rules, claims), 'spiffe://mesh.example/a')
    refused(become(rules, { ...claims, roles: ['administrator'] }), /fits/)
    refused(become(rules, { ...claims, roles: { admin: true } }), /fits/)
    refused(become(rules, { ...claims, roles: [['admin']] }), /fits/)
    refused(become(rules, { ...claims, level: null }), /fits/)
  })

  test('two rules that both hold give no identity, and the record names both', () => {
    const rules = [rule('a', { roles: 'a' }), rule('b', { roles: 'b' })]
    assert.equal(become(rules, { roles: ['a', 'c'] }), 'spiffe://mesh.example/a')
    refused(become(rules, { roles: ['a', 'b'] }), /rules a, b all fit/)
  })

  test('a rule that a list names twice holds once', () => {
    const rules = [rule('a', { roles: ['x', 'y'] })]
    assert.equal(become(rules, { roles: ['x', 'y'] }), 'spiffe://mesh.example/a')
  })

  test('a thousand rules of one issuer: the right one, and rules without its claim still count', () => {
    const many = Array.from({ length: 1000 }, (_, at) => rule(`r${at}`, { sub: `s${at}` }))
    assert.equal(become(many, { sub: 's777' }), 'spiffe://mesh.example/r777')
    const more = [...many, rule('any', { tenant: 't' })]
    refused(become(more, { sub: 's777', tenant: 't' }), /r777, any/)
    assert.equal(become(more, { sub: 'unknown', tenant: 't' }), 'spiffe://mesh.example/any')
  })
})

suite('claims in a SPIFFE ID', () => {
  const rules = [rule('user', {}, 'spiffe://mesh.example/user/{sub}')]
  for (const sub of ['alice', 'a.b-c_d', '...', 'A'.repeat(255)])
    test(`${JSON.stringify(sub).slice(0, 20)} is fit`, () => {
      assert.equal(become(rules, { sub }), `spiffe://mesh.example/user/${sub}`)
    })
  const unfit = ['', '.', '..', 'a/b', '../admin', 'a%2fb', 'a b', 'ä', 'a\u0000', 'a?b', 'a#b']
  const others = ['{sub}', 'A'.repeat(256), 7, true, null, ['alice'], { a: 1 }, undefined]
  for (const sub of [...unfit, ...others])
    test(`${JSON.stringify(sub)?.slice(0, 20)} is refused`, () => {
      refused(become(rules, { sub }), /the claim sub is not/)
    })

  test('text around a claim cannot make a dot segment of it', () => {
    refused(become([rule('x', {}, 'spiffe://mesh.example/.{sub}')], { sub: '.' }), /not fit|not a/)
  })

  test('several claims, each in a segment of its own', () => {
    const own = [
      rule(
        'sa',
        {},
        'spiffe://mesh.example/ns/{kubernetes.io.namespace}/sa/{kubernetes.io.serviceaccount.name}',
      ),
    ]
    const claims = { 'kubernetes.io': { namespace: 'shop', serviceaccount: { name: 'cart' } } }
    assert.equal(become(own, claims), 'spiffe://mesh.example/ns/shop/sa/cart')
  })

  for (const [spiffeId, why] of [
    ['spiffe://mesh.example/{a}{b}', /two claims in one segment/],
    ['spiffe://mesh.example/{a}-{https://example.com/b}', /two claims in one segment/],
    ['spiffe://other.example/{a}', /not in the trust domain/],
    ['spiffe://{td}/a', /not in the trust domain/],
    ['spiffe://mesh.example', /not in the trust domain/],
    ['spiffe://mesh.example/a/', /no SPIFFE ID/],
    ['spiffe://mesh.example/{}', /no SPIFFE ID/],
    ['spiffe://mesh.example/{a', /no SPIFFE ID/],
    ['https://mesh.example/a', /no SPIFFE ID/],
  ] as const)
    test(`${spiffeId} cannot be a rule`, () => {
      assert.throws(() => identityMapping([rule('x', {}, spiffeId)], 'mesh.example'), why)
    })

  test('no claim makes a caller the gateway', () => {
    const gateway = 'spiffe://mesh.example/user/gateway'
    const mapping = identityMapping(rules, 'mesh.example', new Set([gateway]))
    const result = mapping(token({ sub: 'gateway' }))
    assert.ok(!result.ok)
    assert.match(String(result.problem.cause), /reserved/)
  })
})

suite('names of claims', () => {
  const has = (path: string, claims: Record<string, unknown>) =>
    become([rule('x', { [path]: 'yes' })], claims) === 'spiffe://mesh.example/x'

  test('a dot leads one level down', () => {
    assert.ok(has('realm_access.roles', { realm_access: { roles: ['yes'] } }))
    assert.ok(has('a.b.c', { a: { b: { c: 'yes' } } }))
  })
  test('or is part of the name', () => {
    assert.ok(has('https://example.com/roles', { 'https://example.com/roles': ['yes'] }))
    assert.ok(has('kubernetes.io.namespace', { 'kubernetes.io': { namespace: 'yes' } }))
  })
  test('but never both: two readings are none', () => {
    assert.ok(!has('a.b', { 'a.b': 'yes', a: { b: 'yes' } }))
    assert.ok(!has('a.b', { 'a.b': 'yes', a: { b: 'no' } }))
  })
  test('what every object has is no claim', () => {
    for (const path of ['constructor', 'constructor.name', '__proto__', 'a.length'])
      assert.ok(!has(path, { a: ['yes'] }))
  })
})
