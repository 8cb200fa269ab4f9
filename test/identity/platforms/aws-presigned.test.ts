import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { readPresigned } from '#identity/platforms/aws-presigned'
import { isSignedBy, presign, type SignedRequest } from '#test/fakes/sigv4'

const file = join(import.meta.dirname, '../../fixtures/sigv4/query-signed.json')
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as {
  vectors: readonly (SignedRequest & { readonly name: string; readonly secret: string })[]
}

suite('the signatures of the tests are those of AWS', () => {
  assert.ok(vectors.length >= 10)
  for (const { name, secret, ...request } of vectors)
    test(name, () => {
      assert.ok(isSignedBy(request, secret))
      const other = {
        ...request,
        target: request.target.replace('20150830T123600', '20150830T123601'),
      }
      assert.ok(!isSignedBy(other, secret))
    })
})

const atMs = Date.UTC(2026, 10, 26, 12)
const host = 'sts.eu-west-1.amazonaws.com'
const header = 'x-sallyport-exchange'
const rules = {
  hosts: new Set([host, 'sts.us-east-1.amazonaws.com']),
  header,
  value: 'https://exchange.example',
}
const credentials = {
  accessKeyId: 'ASIAEXAMPLEEXAMPLE00',
  secretAccessKey: 'secret',
  sessionToken: 'AQoDYXdzEPT//////////wEXAMPLE+token==',
}
const headers = { [header]: 'https://exchange.example' }
const signed = (changed: Record<string, string | undefined> = {}, more: object = {}) =>
  presign(credentials, { host, headers, atMs, ...more }, changed)
const read = (url: string, nowMs = atMs) => readPresigned(url, rules, nowMs)
const good = signed()

suite('a presigned GetCallerIdentity', () => {
  test('is read when it is one, with and without a session', () => {
    const result = read(good)
    assert.ok(result.ok, JSON.stringify(result))
    assert.deepEqual(result.value.question, { url: good, headers })
    assert.equal(result.value.accessKeyId, credentials.accessKeyId)
    assert.equal(result.value.signedAtMs, atMs)
    assert.equal(result.value.expiresAtMs, atMs + 300_000)
    assert.match(result.value.fingerprint, /^[\w-]{43}$/)
    assert.ok(read(signed({ 'X-Amz-Security-Token': undefined })).ok)
  })

  test('has one fingerprint however it is spelt, and another if it is another', () => {
    const [base, query = ''] = good.split('?')
    const turned = `${base}?${query.split('&').toReversed().join('&')}`
    const respelt = good.replace('GetCallerIdentity', 'GetCallerIdentit%79')
    const of = (url: string) => {
      const result = read(url)
      assert.ok(result.ok, url)
      return result.value.fingerprint
    }
    assert.equal(of(turned), of(good))
    assert.equal(of(respelt), of(good))
    assert.notEqual(of(signed({}, { atMs: atMs + 1000 })), of(good))
  })

  test('is refused for its time', () => {
    assert.ok(read(good, atMs + 299_000).ok)
    assert.ok(!read(good, atMs + 300_000).ok)
    assert.ok(read(good, atMs - 60_000).ok)
    const early = read(good, atMs - 95_000)
    assert.ok(!early.ok)
    assert.equal(early.fault, 'it was signed 95 s ahead of the clock here')
    assert.ok(read(signed({ 'X-Amz-Expires': '900' }), atMs + 899_000).ok)
    for (const expires of ['0', '901', '3600', '604800', '-1', '1e2', '', '0300'])
      assert.ok(!read(signed({ 'X-Amz-Expires': expires })).ok, expires)
    for (const date of [
      '20261126T120000',
      '2026-11-26T12:00:00Z',
      '20260230T120000Z',
      '20261126T250000Z',
    ])
      assert.ok(!read(signed({ 'X-Amz-Date': date })).ok, date)
    assert.ok(!read(signed({ 'X-Amz-Date': '20261125T235959Z' })).ok, 'another day than its scope')
  })

  const replaced = (from: string, to: string) => {
    assert.ok(good.includes(from), from)
    return good.replace(from, to)
  }
  const add = (parameter: string) => `${good}&${parameter}`
  const rows: readonly (readonly [string, string])[] = [
    ['of another host', replaced(host, 'sts.evil.example')],
    ['of a host that ends like it', replaced(host, `evil-${host}`)],
    ['of a host that begins like it', replaced(host, `${host}.evil.example`)],
    ['of the metadata service', replaced(host, '169.254.169.254')],
    ['with a user before the host', replaced(host, `${host}@evil.example`)],
    ['with another port', replaced(host, `${host}:8443`)],
    ['over plain HTTP', replaced('https:', 'http:')],
    ['with a path', replaced('/?', '/other?')],
    ['with a path that ends where it began', replaced('/?', '/x/../?')],
    ['with a fragment', `${good}#x`],
    ['with a line in it', `${good}\nx`],
    ['with a space before', ` ${good}`],
    ['of 5 kB', add(`X-Amz-Security-Token=${'a'.repeat(5000)}`)],
    ['of another action (CVE-2020-16250)', signed({ Action: 'GetSessionToken' })],
    ['of an action in other case', signed({ Action: 'getcalleridentity' })],
    ['of two actions', add('Action=AssumeRole')],
    ['of two actions, one spelt otherwise', add('action=AssumeRole')],
    ['of two actions, one in other signs', add('%41ction=AssumeRole')],
    ['without an action', signed({ Action: undefined })],
    ['of another version', signed({ Version: '2010-01-01' })],
    ['of another algorithm', signed({ 'X-Amz-Algorithm': 'AWS4-ECDSA-P256-SHA256' })],
    [
      'for another service',
      signed({ 'X-Amz-Credential': 'ASIAEXAMPLEEXAMPLE00/20261126/eu-west-1/iam/aws4_request' }),
    ],
    ['with a parameter of its own', add('RoleArn=x')],
    ['with a parameter without a value', add('X-Amz-Security-Token')],
    ['with a parameter of two values', replaced('Expires=300', 'Expires=300=1')],
    ['without the header that binds it (CVE-2026-71861)', signed({}, { headers: {} })],
    ['with the header said and not signed', signed({ 'X-Amz-SignedHeaders': 'host' })],
    ['with the header of another', signed({}, { headers: { 'x-k8s-aws-id': 'cluster' } })],
    ['with a header besides', signed({}, { headers: { ...headers, 'x-other': '1' } })],
    ['that does not sign its host', signed({ 'X-Amz-SignedHeaders': header })],
    ['whose signature is short', good.slice(0, -1)],
    [
      'whose signature is in other case',
      good.replace(/[a-f]([0-9a-f]*)$/, (text) => text.toUpperCase()),
    ],
    ['with half an escape', replaced('%2F', '%2')],
    ['with an escape in small letters', replaced('%2F', '%2f')],
    ['with what is no UTF-8', replaced('wEXAMPLE', '%FF')],
    ['with a new line in a value', replaced('wEXAMPLE', '%0A')],
    ['with nothing', ''],
    ['that is a JWT', 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.x'],
  ]
  for (const [what, url] of rows)
    test(`${what} is refused`, () => {
      const result = read(url)
      assert.ok(!result.ok, url)
      assert.ok(!result.fault.includes('EXAMPLE'), 'a fault quotes nothing that was sent')
    })
})
