import assert from 'node:assert/strict'
import { test } from 'node:test'
import { knownHeaders, parseIssuersJws } from '#identity/jwt/strict-parse'
import { newSigningKey, signToken } from '#test/fakes/token-maker'
import { claims, verifierFor } from './verifier.ts'

const key = newSigningKey('k1')
const stranger = newSigningKey('k1')

test('a header that was read before lets nothing through that would be refused else', async () => {
  const { outcome } = await verifierFor([key])
  const outcomes = async () => [
    await outcome(signToken(key, claims({ jti: 'another' }))),
    await outcome(signToken(stranger, claims())),
    await outcome(signToken(key, claims({ aud: 'elsewhere' }))),
    await outcome(signToken(key, claims({ iss: 'https://nobody.test' }))),
  ]
  const before = await outcomes()
  assert.equal(await outcome(signToken(key, claims())), 'admitted')
  assert.deepEqual(await outcomes(), before)
  assert.deepEqual(before, [
    'admitted',
    'token-signature-invalid',
    'token-audience-wrong',
    'token-issuer-unknown',
  ])
})

test('a known header is the one that would be read, and another spelling of it is not known', () => {
  const headers = knownHeaders()
  const token = signToken(key, claims())
  const read = parseIssuersJws(token, headers)
  assert.ok(read.ok)
  assert.equal(headers.get(token.split('.')[0] ?? ''), undefined) // nothing was verified yet
  headers.keep(read.value.signingInput, read.value.header)
  const again = parseIssuersJws(token, headers)
  assert.deepEqual(again, read)
  assert.ok(again.ok && again.value.header === read.value.header)
  const respelt = signToken(key, claims(), { typ: 'other' })
  assert.deepEqual(parseIssuersJws(respelt, headers), parseIssuersJws(respelt))
})

test('of many headers, and of long ones, few are kept', () => {
  const headers = knownHeaders()
  const header = { alg: 'ES256', kid: 'k', typ: undefined, isPlain: true } as const
  for (let i = 0; i < 1000; i++) headers.keep(`header-${i}.payload`, header)
  const kept = Array.from({ length: 1000 }, (_, i) => headers.get(`header-${i}`)).filter(Boolean)
  assert.ok(kept.length > 0 && kept.length <= 256, String(kept.length))
  const long = 'h'.repeat(513)
  headers.keep(`${long}.payload`, header)
  assert.equal(headers.get(long), undefined)
})
