import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { noMeter } from '#contract/telemetry'
import { clockAhead } from '#identity/jwt/clock-ahead'
import { newSigningKey, signToken } from '#test/fakes/token-maker'
import { claims, now, nowMs, verifierFor } from './verifier.ts'

const key = newSigningKey('k1')

suite('how far an issuer’s clock is ahead', () => {
  const shown: number[] = []
  const meter = { ...noMeter, gauge: () => (value: number) => void shown.push(value) }

  test('is told by the youngest token of late', () => {
    const clock = clockAhead('corp', meter)
    assert.equal(clock.seconds(), undefined)
    clock.made(now - 200, nowMs)
    assert.equal(clock.seconds(), -200)
    clock.made(now + 12, nowMs)
    clock.made(now - 50, nowMs)
    assert.equal(clock.seconds(), 12)
    assert.deepEqual(shown, [-200, 12, 12])
  })

  test('is told anew when the clock was mended', () => {
    const clock = clockAhead('corp', noMeter)
    clock.made(now + 60, nowMs)
    clock.made(now + 300, nowMs + 300_000)
    assert.equal(clock.seconds(), 60)
    clock.made(now + 600, nowMs + 600_000)
    assert.equal(clock.seconds(), 0)
  })

  test('is measured in verified tokens, also in those that are refused for it', async () => {
    const { issuers, outcome } = await verifierFor([key])
    const ahead = () => issuers.status().get('idp')?.clockAheadSeconds
    const tomorrow = claims({ iat: now + 95, exp: now + 300 })
    const forged = signToken({ ...newSigningKey('k1') }, { ...tomorrow, iat: now + 200 })
    assert.equal(await outcome(forged), 'token-not-yet-valid')
    assert.equal(ahead(), undefined, 'what anybody can write says nothing of a clock')
    assert.equal(await outcome(signToken(key, claims())), 'admitted')
    assert.equal(ahead(), -10)
    assert.equal(await outcome(signToken(key, tomorrow)), 'token-not-yet-valid')
    assert.equal(ahead(), 95)
  })
})

suite('a refusal for a time tells how far off it is', () => {
  for (const [what, changed, expected] of [
    [
      'issued',
      { iat: now + 95 },
      'The token is valid in 95 s by the clock here, and 30 s are let pass',
    ],
    [
      'beginning',
      { nbf: now + 31 },
      'The token is valid in 31 s by the clock here, and 30 s are let pass',
    ],
    ['ended', { iat: now - 100, exp: now - 61 }, 'The token expired 61 s ago'],
  ] as const)
    test(what, async () => {
      const { verify } = await verifierFor([key])
      const verified = await verify(signToken(key, claims(changed)), new Set(['idp']), nowMs)
      assert.ok(!verified.ok)
      assert.equal(verified.problem.detail, expected)
      const challenge = verified.problem.headers?.['WWW-Authenticate'] ?? ''
      assert.ok(challenge.includes(`error_description="${expected}"`), challenge)
    })
})
