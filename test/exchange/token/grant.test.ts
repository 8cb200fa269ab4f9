import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { secret } from '#contract/secret'
import type { SpiffeId } from '#contract/spiffe-id'
import { tokenTypes } from '#contract/token-exchange'
import type { Asker } from '#exchange/clients/asker'
import { grant, type GrantPolicy, type Question } from '#exchange/token/grant'
import { grantsOf } from '#exchange/token/grants'
import type { Party } from '#exchange/token/party'
import { subjectTokenTypes, type ExchangeRequest } from '#exchange/token/request'
import {
  alice,
  exchangeId,
  gateway,
  orders,
  spiffeId,
  trustDomain,
  verifiedToken,
} from '../fixtures.ts'

const nowMs = Date.UTC(2026, 10, 25, 12, 0, 0, 500)
const issuer = 'https://exchange.example:8444'
const policy: GrantPolicy = {
  issuer,
  trustDomain,
  selfServiceIssuers: new Set(['corp']),
  reserved: new Set([gateway, exchangeId]),
  audiences: new Set(['https://orders.example.com']),
  lifetimeSeconds: 300,
  txnLifetimeSeconds: 60,
  maxActors: 3,
  findGrant: grantsOf([
    {
      name: 'people',
      subjects: ['spiffe://mesh.example/user/*'],
      to: ['self', 'batch'],
      tokens: ['jwt-svid', 'access-token', 'txn-token'],
      audiences: [orders, 'https://orders.example.com', 'spiffe://mesh.example/service/**'],
      scopes: ['orders.read', 'orders.write'],
      actors: ['spiffe://mesh.example/agent/*'],
      policy: { requires: { kinds: ['external'] } },
    },
    {
      name: 'narrow',
      subjects: [alice],
      to: ['reports'],
      tokens: ['access-token'],
      audiences: ['https://reports.example.com'],
      scopes: ['reports.read'],
      actors: [],
      policy: { requires: {} },
    },
  ]),
}
const request: ExchangeRequest = {
  subjectToken: secret('a.b.c'),
  subjectTokenType: subjectTokenTypes.jwt,
  subjectIssuer: undefined,
  actorToken: undefined,
  audience: orders,
  requestedTokenType: tokenTypes.jwt,
  scopes: undefined,
  context: undefined,
  details: undefined,
}
const byGateway: Asker = { kind: 'gateway', id: gateway, spiffeId: gateway }
const batchId = spiffeId('spiffe://mesh.example/service/batch')
const byClient = (more: Partial<Extract<Asker, { kind: 'client' }>> = {}): Asker => ({
  kind: 'client',
  id: 'batch',
  spiffeId: batchId,
  receives: new Set(),
  bound: 'no',
  ...more,
})
const bySelf = (claimed?: string): Asker => ({ kind: 'self', id: 'self', claimed })
const subject = (
  id: SpiffeId = alice,
  expiresAtMs = nowMs + 600_000,
  claims: Record<string, unknown> = {},
): Party => ({
  token: verifiedToken({ expiresAtMs, claims: { sub: 'alice', ...claims } }),
  spiffeId: id,
  rule: 'people',
  own: undefined,
})
/** A token of ours. */
const own = (
  kind: NonNullable<Party['own']>,
  audience: string,
  claims: Record<string, unknown> = {},
): Party => ({
  token: verifiedToken({
    issuer,
    expiresAtMs: nowMs + 200_000,
    audiences: [audience],
    claims: { sub: alice, aud: audience, ...claims },
  }),
  spiffeId: alice,
  rule: undefined,
  own: kind,
})
const actor = (
  id = 'spiffe://mesh.example/agent/bot',
  claims: Record<string, unknown> = {},
): Party => ({
  ...subject(spiffeId(id), nowMs + 100_000, claims),
  rule: 'agents',
})

type Asked = Partial<Omit<Question, 'request'>> & Partial<ExchangeRequest>
const ask = (
  { asker = byGateway, subject: of = subject(), actor: acting, keys, ...more }: Asked = {},
  by: GrantPolicy = policy,
  now = nowMs,
) =>
  grant(
    {
      request: { ...request, ...more },
      asker,
      subject: of,
      actor: acting,
      keys: keys ?? { jkt: undefined, thumbprint: undefined },
    },
    by,
    now,
  )
const codeOf = (outcome: ReturnType<typeof grant>) =>
  outcome.ok ? 'granted' : `${outcome.error.code} ${outcome.error.problem}`
const grantedTo = (asked: Asked) => {
  const outcome = ask(asked)
  assert.ok(outcome.ok, codeOf(outcome))
  return outcome.value
}

suite('a grant', () => {
  test('says who, for whom, from when, until when and for which client', () => {
    assert.deepEqual(grantedTo({}), {
      kind: 'jwt-svid',
      subject: alice,
      audience: orders,
      clientId: gateway,
      scopes: [],
      act: undefined,
      actor: undefined,
      confirmation: undefined,
      transaction: undefined,
      provenance: undefined,
      allowedBy: undefined,
      issuedAtSeconds: Math.floor(nowMs / 1000),
      expiresAtSeconds: Math.floor(nowMs / 1000) + 300,
    })
  })

  for (const [audience, outcome] of [
    [orders, 'granted'],
    ['https://orders.example.com', 'granted'],
    ['spiffe://mesh.example', 'invalid_target target-refused'],
    ['spiffe://other.example/service/orders', 'invalid_target target-refused'],
    ['spiffe://mesh.example.evil/service/orders', 'invalid_target target-refused'],
    ['spiffe://mesh.example/service/../orders', 'invalid_target target-refused'],
    ['spiffe://mesh.example/service/orders/', 'invalid_target target-refused'],
    ['SPIFFE://mesh.example/service/orders', 'invalid_target target-refused'],
    ['https://orders.example.com/', 'invalid_target target-refused'],
    ['https://orders.example.co', 'invalid_target target-refused'],
    ['*', 'invalid_target target-refused'],
  ] as const)
    test(`for ${audience}: ${outcome}`, () => {
      assert.equal(codeOf(ask({ audience })), outcome)
    })

  for (const id of [
    gateway,
    exchangeId,
    spiffeId('spiffe://other.example/x'),
    spiffeId('spiffe://mesh.example'),
  ])
    test(`never makes anyone ${id}, whatever the rules say`, () => {
      assert.equal(codeOf(ask({ subject: subject(id) })), 'invalid_request identity-unmapped')
    })

  for (const [leftMs, outcome] of [
    [-1, 'invalid_request token-expires-too-soon'],
    [0, 'invalid_request token-expires-too-soon'],
    [499, 'invalid_request token-expires-too-soon'],
    [500, 'granted'],
  ] as const)
    test(`from a token that has ${leftMs} ms left: ${outcome}`, () => {
      assert.equal(codeOf(ask({ subject: subject(alice, nowMs + leftMs) })), outcome)
    })

  test('never outlives its parent nor the longest life, whatever the times', () => {
    let granted = 0
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 4_102_444_800_000 }),
        fc.integer({ min: -120_000, max: 86_400_000 }),
        fc.integer({ min: 10, max: 3600 }),
        (now, leftMs, lifetimeSeconds) => {
          const parent = subject(alice, now + leftMs)
          const outcome = ask({ subject: parent }, { ...policy, lifetimeSeconds }, now)
          if (!outcome.ok) return assert.ok(leftMs < 1000)
          granted++
          const { issuedAtSeconds, expiresAtSeconds } = outcome.value
          assert.ok(expiresAtSeconds * 1000 <= parent.token.expiresAtMs)
          assert.ok(expiresAtSeconds - issuedAtSeconds <= lifetimeSeconds)
          assert.ok(expiresAtSeconds > issuedAtSeconds)
          assert.ok(issuedAtSeconds * 1000 <= now)
        },
      ),
      { numRuns: 1000 },
    )
    assert.ok(granted > 500)
  })
})

suite('a bearer that asks for itself', () => {
  const self = bySelf()
  test('gets what a grant allows', () => {
    const granted = grantedTo({ asker: self, scopes: ['orders.read'] })
    assert.equal(granted.clientId, alice)
    assert.deepEqual(granted.scopes, ['orders.read'])
    assert.equal(granted.allowedBy?.name, 'people')
  })
  const rows: readonly (readonly [string, Asked, string])[] = [
    [
      'of another issuer',
      {
        subject: {
          ...subject(),
          token: verifiedToken({ issuerName: 'x', expiresAtMs: nowMs + 1000 }),
        },
      },
      'invalid_client client-unauthenticated',
    ],
    [
      'with a token of ours',
      { subject: own('jwt-svid', orders) },
      'invalid_client client-unauthenticated',
    ],
    [
      'as somebody else',
      { asker: bySelf('spiffe://mesh.example/user/bob') },
      'invalid_client client-unauthenticated',
    ],
    ['as itself', { asker: bySelf(alice) }, 'granted'],
    [
      'whom no grant is for',
      { subject: subject(spiffeId('spiffe://mesh.example/job/1')) },
      'unauthorized_client client-not-allowed',
    ],
    [
      'for another audience',
      { audience: 'spiffe://mesh.example/user/bob' },
      'invalid_target target-refused',
    ],
    [
      'for an audience of a grant for others',
      { audience: 'https://reports.example.com' },
      'invalid_target target-refused',
    ],
    ['for another scope', { scopes: ['admin'] }, 'invalid_scope scope-refused'],
    [
      'for a Txn-Token',
      { requestedTokenType: tokenTypes.txnToken, audience: trustDomain, scopes: ['orders.read'] },
      'unauthorized_client client-not-allowed',
    ],
    ['with an actor', { actor: actor() }, 'invalid_request delegation-refused'],
    [
      'with a may_act that names another',
      {
        subject: subject(alice, undefined, { may_act: { sub: 'spiffe://mesh.example/agent/bot' } }),
      },
      'invalid_request delegation-refused',
    ],
    [
      'whom somebody acts for',
      { subject: subject(alice, undefined, { act: { sub: 'bot' } }) },
      'granted',
    ],
  ]
  for (const [what, asked, outcome] of rows)
    test(`${what}: ${outcome}`, () => {
      assert.equal(codeOf(ask({ asker: self, ...asked })), outcome)
    })
})

suite('scopes only get fewer', () => {
  const rows: readonly (readonly [string, Asked, string, string[]?])[] = [
    [
      'a gateway asks for one that the token has',
      { subject: subject(alice, undefined, { scope: 'a b' }), scopes: ['b'] },
      'granted',
      ['b'],
    ],
    [
      'a gateway asks for one that it lacks',
      { subject: subject(alice, undefined, { scope: 'a b' }), scopes: ['c'] },
      'invalid_scope scope-refused',
    ],
    ['a gateway asks where the token has none', { scopes: ['a'] }, 'invalid_scope scope-refused'],
    [
      'the claim is a list',
      { subject: subject(alice, undefined, { scope: ['a'] }), scopes: ['a'] },
      'invalid_scope scope-refused',
    ],
    [
      'a client asks for more than the `scp` of Entra has',
      {
        asker: byClient(),
        subject: subject(alice, undefined, { scp: 'orders.read' }),
        scopes: ['orders.write'],
      },
      'invalid_scope scope-refused',
    ],
    [
      'a client asks for more than the `scp` of Okta has',
      {
        asker: byClient(),
        subject: subject(alice, undefined, { scp: ['orders.read'] }),
        scopes: ['orders.read', 'orders.write'],
      },
      'invalid_scope scope-refused',
    ],
    [
      'a client asks for what such a list has',
      {
        asker: byClient(),
        subject: subject(alice, undefined, { scp: ['openid', 'orders.read'] }),
        scopes: ['orders.read'],
      },
      'granted',
      ['orders.read'],
    ],
    [
      'two claims say different scopes: what is in both',
      {
        asker: byClient(),
        subject: subject(alice, undefined, { scope: 'orders.read', scp: 'orders.write' }),
        scopes: ['orders.write'],
      },
      'invalid_scope scope-refused',
    ],
    [
      'the list is of something else',
      {
        asker: byClient(),
        subject: subject(alice, undefined, { scp: [{ orders: 'read' }] }),
        scopes: ['orders.read'],
      },
      'invalid_scope scope-refused',
    ],
    [
      'a client asks for more than the token has',
      {
        asker: byClient(),
        subject: subject(alice, undefined, { scope: 'orders.read' }),
        scopes: ['orders.write'],
      },
      'invalid_scope scope-refused',
    ],
    [
      'a client asks for none of an outside token',
      { asker: byClient(), subject: subject(alice, undefined, { scope: 'orders.read' }) },
      'granted',
      [],
    ],
    [
      'a client asks for none of a token of ours',
      {
        asker: byClient(),
        subject: own('access-token', batchId, { scope: 'orders.read orders.admin' }),
      },
      'granted',
      ['orders.read'],
    ],
    [
      'a token of ours without scopes',
      { asker: byClient(), subject: own('access-token', batchId), scopes: ['orders.read'] },
      'invalid_scope scope-refused',
    ],
  ]
  for (const [what, asked, outcome, scopes] of rows)
    test(`when ${what}: ${outcome}`, () => {
      const asking = ask({
        audience: 'https://orders.example.com',
        requestedTokenType: tokenTypes.accessToken,
        ...asked,
      })
      assert.equal(codeOf(asking), outcome)
      if (scopes !== undefined) assert.deepEqual(asking.ok && asking.value.scopes, scopes)
    })
})

suite('a token of ours as subject', () => {
  const rows: readonly (readonly [string, Asked, string])[] = [
    ['that is for the client', { subject: own('jwt-svid', batchId) }, 'granted'],
    [
      'that is for another',
      { subject: own('jwt-svid', orders) },
      'invalid_request token-audience-wrong',
    ],
    [
      'that is for a name that the client receives',
      { asker: byClient({ receives: new Set([orders]) }), subject: own('jwt-svid', orders) },
      'granted',
    ],
    [
      'that the client asked for',
      { subject: own('access-token', orders, { client_id: 'batch' }) },
      'granted',
    ],
    [
      'that another client asked for',
      { subject: own('access-token', orders, { client_id: 'batch2' }) },
      'invalid_request token-audience-wrong',
    ],
    [
      'for a gateway that it is not for',
      { asker: byGateway, subject: own('jwt-svid', orders) },
      'invalid_request token-audience-wrong',
    ],
    [
      'said to be an access token',
      { subject: own('jwt-svid', batchId), subjectTokenType: subjectTokenTypes.accessToken },
      'invalid_request token-type-refused',
    ],
    [
      'said to be an ID token',
      { subject: own('jwt-svid', batchId), subjectTokenType: subjectTokenTypes.idToken },
      'invalid_request token-type-refused',
    ],
    [
      'that is a Txn-Token, for a JWT-SVID',
      { subject: own('txn-token', trustDomain), subjectTokenType: subjectTokenTypes.txnToken },
      'invalid_request token-type-refused',
    ],
    [
      'that is a Txn-Token, said to be any JWT',
      { subject: own('txn-token', trustDomain) },
      'invalid_request token-type-refused',
    ],
    [
      'bound to a certificate that is not shown',
      { subject: own('access-token', batchId, { cnf: { 'x5t#S256': 'x' } }) },
      'invalid_request token-claim-invalid',
    ],
    [
      'bound to the certificate that is shown',
      {
        subject: own('access-token', batchId, { cnf: { 'x5t#S256': 'x' } }),
        keys: { jkt: undefined, thumbprint: 'x' },
      },
      'granted',
    ],
    [
      'bound by DPoP without a proof',
      {
        subject: own('access-token', batchId, { cnf: { jkt: 'k' } }),
        keys: { jkt: undefined, thumbprint: 'k' },
      },
      'invalid_request token-claim-invalid',
    ],
    [
      'bound to something unknown',
      { subject: own('access-token', batchId, { cnf: { kid: 'k' } }) },
      'invalid_request token-claim-invalid',
    ],
    [
      'from outside, bound by DPoP, without a proof',
      { subject: subject(alice, nowMs + 600_000, { cnf: { jkt: 'k' } }) },
      'invalid_request token-claim-invalid',
    ],
    [
      'from outside, bound by DPoP, by a gateway that has seen the proof',
      { asker: byGateway, subject: subject(alice, nowMs + 600_000, { cnf: { jkt: 'k' } }) },
      'granted',
    ],
  ]
  for (const [what, asked, outcome] of rows)
    test(`${what}: ${outcome}`, () => {
      assert.equal(codeOf(ask({ asker: byClient(), ...asked })), outcome)
    })
})

suite('who acts', () => {
  const bot = 'spiffe://mesh.example/agent/bot'
  const may = (named: unknown) => subject(alice, undefined, { may_act: named })
  const rows: readonly (readonly [string, Asked, string])[] = [
    ['whom the grant names', { actor: actor() }, 'granted'],
    [
      'whom it does not',
      { actor: actor('spiffe://mesh.example/user/bob') },
      'invalid_request delegation-refused',
    ],
    [
      'whom may_act names',
      {
        actor: actor('spiffe://mesh.example/user/bob'),
        subject: may({ sub: 'spiffe://mesh.example/user/bob' }),
      },
      'granted',
    ],
    [
      'whom may_act names by its outside name',
      { actor: actor(), subject: may({ sub: 'alice', iss: 'https://idp.example' }) },
      'granted',
    ],
    [
      'who has the name at another issuer',
      { actor: actor(), subject: may({ sub: 'alice', iss: 'https://other.example' }) },
      'invalid_request delegation-refused',
    ],
    [
      'whom the grant names and may_act does not',
      { actor: actor(), subject: may({ sub: 'spiffe://mesh.example/agent/other' }) },
      'invalid_request delegation-refused',
    ],
    [
      'keycloak/keycloak#52691: nobody, where may_act names another than who asks',
      { subject: may({ sub: bot }) },
      'invalid_request delegation-refused',
    ],
    ['the client itself, where may_act names it', { subject: may({ sub: batchId }) }, 'granted'],
    ['the client itself, by its id', { subject: may({ client_id: 'batch' }) }, 'granted'],
    [
      'under a condition that nobody knows',
      { actor: actor(), subject: may({ sub: bot, until: 'noon' }) },
      'invalid_request delegation-refused',
    ],
    [
      'with a may_act that is a text',
      { actor: actor(), subject: may(bot) },
      'invalid_request delegation-refused',
    ],
    [
      'with an empty may_act',
      { actor: actor(), subject: may({}) },
      'invalid_request delegation-refused',
    ],
    [
      'who is acted for',
      { actor: actor(undefined, { act: { sub: 'x' } }) },
      'invalid_request delegation-refused',
    ],
    [
      'by a Txn-Token',
      { actor: { ...own('txn-token', trustDomain), spiffeId: spiffeId(bot) } },
      'invalid_request delegation-refused',
    ],
    [
      'by a JWT-SVID for us',
      { actor: { ...own('jwt-svid', issuer), spiffeId: spiffeId(bot) } },
      'granted',
    ],
    [
      'by a JWT-SVID for another',
      { actor: { ...own('jwt-svid', orders), spiffeId: spiffeId(bot) } },
      'invalid_request delegation-refused',
    ],
    ['as the gateway', { actor: actor(gateway) }, 'invalid_request identity-unmapped'],
    [
      'after three others',
      {
        actor: actor(),
        subject: subject(alice, undefined, {
          act: { sub: 'a', act: { sub: 'b', act: { sub: 'c' } } },
        }),
      },
      'invalid_request delegation-refused',
    ],
    [
      'after an actor without a name',
      { subject: subject(alice, undefined, { act: { act: { sub: 'b' } } }) },
      'invalid_request delegation-refused',
    ],
  ]
  for (const [what, asked, outcome] of rows)
    test(`${what}: ${outcome}`, () => {
      assert.equal(codeOf(ask({ asker: byClient(), ...asked })), outcome)
    })

  test('no outside issuer says in our name who acted', () => {
    const forged = { sub: gateway, iss: issuer }
    for (const act of [forged, { sub: 'bob', act: forged }]) {
      const asked = { asker: byClient(), subject: subject(alice, undefined, { act }) }
      assert.equal(codeOf(ask(asked)), 'invalid_request delegation-refused')
    }
  })

  test('nobody who acted before is lost, with and without a new actor', () => {
    const before = { sub: 'ann', act: { sub: 'bob', iss: 'https://b.example' } }
    const kept = {
      sub: 'ann',
      iss: 'https://idp.example',
      act: { sub: 'bob', iss: 'https://b.example' },
    }
    const of = subject(alice, undefined, { act: before })
    assert.deepEqual(grantedTo({ subject: of }).act, kept)
    assert.deepEqual(grantedTo({ asker: byClient(), subject: of, actor: actor() }).act, {
      sub: bot,
      act: kept,
    })
  })

  test('what is minted ends with the token of the actor', () => {
    const { expiresAtSeconds } = grantedTo({ asker: byClient(), actor: actor() })
    assert.equal(expiresAtSeconds, Math.floor((nowMs + 100_000) / 1000))
  })
})

suite('what a token is bound to', () => {
  const access = {
    requestedTokenType: tokenTypes.accessToken,
    audience: 'https://orders.example.com',
  }
  const rows: readonly (readonly [string, Asked, string, object?])[] = [
    [
      'a key that was proved',
      { keys: { jkt: 'k', thumbprint: undefined } },
      'granted',
      { jkt: 'k' },
    ],
    [
      'a certificate, for a client that wants that',
      { asker: byClient({ bound: 'certificate' }), keys: { jkt: undefined, thumbprint: 't' } },
      'granted',
      { 'x5t#S256': 't' },
    ],
    [
      'a certificate that is not there',
      { asker: byClient({ bound: 'certificate' }) },
      'invalid_request exchange-request-invalid',
    ],
    [
      'a proof that is not there',
      { asker: byClient({ bound: 'dpop' }) },
      'invalid_dpop_proof dpop-proof-invalid',
    ],
    [
      'a key, where nobody would look at it',
      { keys: { jkt: 'k', thumbprint: undefined }, requestedTokenType: tokenTypes.jwt },
      'invalid_request exchange-request-invalid',
    ],
  ]
  for (const [what, asked, outcome, confirmation] of rows)
    test(`${what}: ${outcome}`, () => {
      const asking = ask({ ...access, ...asked })
      assert.equal(codeOf(asking), outcome)
      if (confirmation) assert.deepEqual(asking.ok && asking.value.confirmation, confirmation)
    })
})

suite('a Txn-Token', () => {
  const txn = {
    requestedTokenType: tokenTypes.txnToken,
    audience: trustDomain,
    scopes: ['orders.read'],
  }
  const earlier = own('txn-token', trustDomain, {
    txn: 't1',
    scope: 'orders.read orders.write',
    req_wl: gateway,
    tctx: { order: 7 },
    rctx: { req_ip: '192.0.2.1' },
  })
  const replacing = {
    ...txn,
    asker: byClient(),
    subject: earlier,
    subjectTokenType: subjectTokenTypes.txnToken,
  }

  test('begins with who asked and what for', () => {
    const { transaction, scopes, expiresAtSeconds, issuedAtSeconds } = grantedTo({
      ...txn,
      asker: byClient(),
      subject: subject(alice, undefined, { scope: 'orders.read' }),
      details: { order: 7 },
      context: { req_ip: '192.0.2.1' },
    })
    assert.deepEqual(transaction, {
      txn: undefined,
      requesters: batchId,
      details: { order: 7 },
      context: { req_ip: '192.0.2.1' },
    })
    assert.deepEqual(scopes, ['orders.read'])
    assert.equal(expiresAtSeconds - issuedAtSeconds, 60)
  })

  test('that replaces one goes on with it: same transaction, subject and audience, one workload more', () => {
    const {
      transaction,
      subject: sub,
      audience,
    } = grantedTo({ ...replacing, details: { item: 1 } })
    assert.deepEqual(transaction, {
      txn: 't1',
      requesters: `${gateway},${batchId}`,
      details: { item: 1, order: 7 },
      context: { req_ip: '192.0.2.1' },
    })
    assert.deepEqual([sub, audience], [alice, trustDomain])
  })

  const rows: readonly (readonly [string, Asked, string])[] = [
    [
      'for a gateway whose caller has that scope',
      { ...txn, subject: subject(alice, undefined, { scope: 'orders.read' }) },
      'granted',
    ],
    ['for a gateway whose caller has no scopes', txn, 'invalid_scope scope-refused'],
    [
      'of ours by a client of another trust domain',
      {
        ...replacing,
        asker: byClient({ spiffeId: spiffeId('spiffe://partner.example/service/batch') }),
      },
      'invalid_request token-audience-wrong',
    ],
    [
      'for a client whose subject says nothing of scopes: unknown is not unconstrained',
      { ...txn, asker: byClient() },
      'invalid_scope scope-refused',
    ],
    [
      'without a scope',
      { ...txn, asker: byClient(), scopes: undefined },
      'invalid_scope scope-refused',
    ],
    [
      'for another trust domain',
      { ...txn, asker: byClient(), audience: 'other.example' },
      'invalid_target target-refused',
    ],
    [
      'that would have a scope more',
      { ...replacing, scopes: ['orders.read', 'admin'] },
      'invalid_scope scope-refused',
    ],
    [
      'that would change what it says',
      { ...replacing, details: { order: 8 } },
      'invalid_request exchange-request-invalid',
    ],
    [
      'that would change where it came from',
      { ...replacing, context: { req_ip: '10.0.0.1' } },
      'invalid_request exchange-request-invalid',
    ],
    [
      'for a client that is no workload of the mesh',
      { ...replacing, asker: byClient({ spiffeId: undefined }) },
      'invalid_request token-audience-wrong',
    ],
  ]
  for (const [what, asked, outcome] of rows)
    test(`${what}: ${outcome}`, () => {
      assert.equal(codeOf(ask(asked)), outcome)
    })
})
