import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { secret } from '#contract/secret'
import { tokenTypes } from '#contract/token-exchange'
import { authenticateClient, grant, type GrantPolicy } from '#exchange/token/grant'
import type { ExchangeRequest } from '#exchange/token/request'
import {
  alice,
  exchangeId,
  gateway,
  orders,
  spiffeId,
  trustDomain,
  verifiedToken,
} from '../fixtures.ts'

const policy: GrantPolicy = {
  trustDomain,
  gateways: new Set([gateway]),
  reserved: new Set([gateway, exchangeId]),
  audiences: new Set(['https://orders.example.com']),
  lifetimeSeconds: 300,
}
const request: ExchangeRequest = {
  subjectToken: secret('a.b.c'),
  audience: orders,
  requestedTokenType: tokenTypes.jwt,
  clientId: undefined,
}
const nowMs = Date.UTC(2026, 10, 25, 12, 0, 0, 500)
const subject = (id = alice, expiresAtMs = nowMs + 600_000) => ({
  token: verifiedToken({ expiresAtMs }),
  spiffeId: id,
  rule: 'people',
})
const codeOf = (outcome: ReturnType<typeof grant>) =>
  outcome.ok ? 'granted' : `${outcome.error.code} ${outcome.error.problem}`

suite('who may ask', () => {
  test('a gateway that proved to be one', () => {
    const client = authenticateClient({ kind: 'proven', spiffeId: gateway }, policy.gateways)
    assert.ok(client.ok && client.value === gateway)
  })
  for (const [who, peer, code] of [
    ['nobody', { kind: 'none' }, 'invalid_client'],
    ['a certificate that proves nothing', { kind: 'refused', fault: 'expired' }, 'invalid_client'],
    ['a workload', { kind: 'proven', spiffeId: alice }, 'unauthorized_client'],
    ['the exchange itself', { kind: 'proven', spiffeId: exchangeId }, 'unauthorized_client'],
  ] as const)
    test(`not ${who}: ${code}`, () => {
      const client = authenticateClient(peer, policy.gateways)
      assert.ok(!client.ok)
      assert.equal(client.error.code, code)
    })
})

suite('a grant', () => {
  test('says who, for whom, from when, until when and for which client', () => {
    const granted = grant(request, gateway, subject(), policy, nowMs)
    assert.ok(granted.ok)
    assert.deepEqual(granted.value, {
      tokenType: tokenTypes.jwt,
      subject: alice,
      audience: orders,
      clientId: gateway,
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
      assert.equal(
        codeOf(grant({ ...request, audience }, gateway, subject(), policy, nowMs)),
        outcome,
      )
    })

  for (const [clientId, outcome] of [
    [gateway, 'granted'],
    [alice, 'invalid_client client-unauthenticated'],
    ['gateway', 'invalid_client client-unauthenticated'],
  ] as const)
    test(`with client_id ${clientId}: ${outcome}`, () => {
      assert.equal(
        codeOf(grant({ ...request, clientId }, gateway, subject(), policy, nowMs)),
        outcome,
      )
    })

  for (const id of [
    gateway,
    exchangeId,
    spiffeId('spiffe://other.example/x'),
    spiffeId('spiffe://mesh.example'),
  ])
    test(`never makes anyone ${id}, whatever the rules say`, () => {
      assert.equal(
        codeOf(grant(request, gateway, subject(id), policy, nowMs)),
        'invalid_request identity-unmapped',
      )
    })

  for (const [leftMs, outcome] of [
    [-1, 'invalid_request token-expires-too-soon'],
    [0, 'invalid_request token-expires-too-soon'],
    [499, 'invalid_request token-expires-too-soon'],
    [500, 'granted'],
  ] as const)
    test(`from a token that has ${leftMs} ms left: ${outcome}`, () => {
      assert.equal(
        codeOf(grant(request, gateway, subject(alice, nowMs + leftMs), policy, nowMs)),
        outcome,
      )
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
          const outcome = grant(request, gateway, parent, { ...policy, lifetimeSeconds }, now)
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
