import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { originReader } from '#http/forwarded'
import { canonicalAddress, networks } from '#http/networks'

const head = { host: 'api.example', port: 8443 }
const readOrigin = originReader({
  trustedProxies: networks(['10.0.0.0/8', 'fd00::/8']),
  viaName: 'edge-1',
})
const from = (address: string, ...rawHeaders: string[]) => {
  const result = readOrigin(rawHeaders, { address, tlsVersion: 'TLSv1.3' }, head)
  assert.ok(result.ok)
  return result.value
}
const claims = [
  'X-Forwarded-For',
  '198.51.100.7, 203.0.113.9, 10.1.1.1',
  'X-Forwarded-Proto',
  'http',
  'X-Forwarded-Host',
  'Shop.Example',
]

suite('where a request comes from', () => {
  test('is told by the socket alone, if the peer is not trusted', () => {
    const origin = from('192.0.2.1', ...claims)
    assert.deepEqual(origin, {
      address: '192.0.2.1',
      forwardedFor: '192.0.2.1',
      forwardedProto: 'https',
      forwardedHost: 'api.example:8443',
      forwarded: 'for=192.0.2.1;host="api.example:8443";proto=https',
      via: '1.1 edge-1',
    })
  })

  test('is the last address that no trusted proxy vouches for, if it is', () => {
    const origin = from('10.0.0.1', ...claims)
    assert.equal(origin.address, '203.0.113.9')
    assert.equal(origin.forwardedFor, '203.0.113.9, 10.1.1.1, 10.0.0.1')
    assert.equal(origin.forwardedProto, 'http')
    assert.equal(origin.forwardedHost, 'shop.example')
    assert.equal(
      origin.forwarded,
      'for=203.0.113.9;host="shop.example";proto=http, for=10.1.1.1, for=10.0.0.1',
    )
  })

  for (const [forwardedFor, address] of [
    ['', '10.0.0.1'],
    ['unknown', '10.0.0.1'],
    ['198.51.100.7, _hidden', '10.0.0.1'],
    ['198.51.100.7, _hidden, 10.0.0.2', '10.0.0.2'],
    ['198.51.100.7:4711', '198.51.100.7'],
    ['[2001:db8::1]:4711', '2001:db8::1'],
    ['2001:DB8::1', '2001:db8::1'],
    ['::ffff:198.51.100.7', '198.51.100.7'],
    ['fe80::1%eth0', 'fe80::1'],
    ['10.0.0.9, 10.0.0.8', '10.0.0.9'],
    ['evil, 198.51.100.7', '198.51.100.7'],
    [Array.from({ length: 50 }, () => '10.0.0.2').join(','), '10.0.0.2'],
  ] as const)
    test(`of a trusted proxy that says ${JSON.stringify(forwardedFor.slice(0, 40))} is ${address}`, () => {
      const origin = from('10.0.0.1', 'x-forwarded-for', forwardedFor)
      assert.equal(origin.address, address)
      assert.ok(origin.forwardedFor.split(',').length <= 20)
    })

  test('is not taken from nonsense of a trusted proxy', () => {
    const origin = from('10.0.0.1', 'X-Forwarded-Proto', 'gopher', 'X-Forwarded-Host', 'a b')
    assert.deepEqual([origin.forwardedProto, origin.forwardedHost], ['https', 'api.example:8443'])
  })

  test('is http without TLS, and IPv6 is quoted', () => {
    const result = readOrigin(
      [],
      { address: '2001:db8::1', tlsVersion: '' },
      { host: 'a', port: undefined },
    )
    assert.ok(result.ok)
    assert.equal(result.value.forwarded, 'for="[2001:db8::1]";host="a";proto=http')
  })
})

suite('Via', () => {
  test('is appended to', () => {
    assert.equal(
      from('192.0.2.1', 'Via', '1.0 fred', 'via', '1.1 p.example (x)').via,
      '1.0 fred, 1.1 p.example (x), 1.1 edge-1',
    )
  })

  test('with our name in it is a circle', () => {
    for (const via of ['1.1 edge-1', '1.0 fred, HTTP/1.1 EDGE-1 (x)']) {
      const result = readOrigin(['via', via], { address: '192.0.2.1', tlsVersion: '' }, head)
      assert.equal(!result.ok && result.problem.tag, 'request-malformed')
    }
  })
})

suite('networks', () => {
  test('hold their addresses and no others', () => {
    const set = networks(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32', 'fd00::1'])
    for (const inside of ['10.255.0.1', '192.0.2.7', '2001:db8:ffff::1', 'fd00::1'])
      assert.ok(set.has(inside), inside)
    for (const outside of ['11.0.0.1', '192.0.2.8', '2001:db9::1', 'fd00::2', '', 'x'])
      assert.ok(!set.has(outside), outside)
    assert.ok(!networks([]).has('10.0.0.1'))
  })

  for (const cidr of [
    '',
    'x',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
    '10.0.0/8',
    '10.1.2.3/8',
    '10.0.0.1/31',
    'fd00::1/8',
    'fd00::/129',
    'fe80::1%eth0',
    '2001:db8::ffff:192.0.2.1/112',
  ])
    test(`${JSON.stringify(cidr)} is none, and the message names it`, () => {
      assert.throws(
        () => networks([cidr]),
        (error: TypeError) => error.message.includes(JSON.stringify(cidr)),
      )
    })

  test('an address has one form', () => {
    for (const [text, canonical] of [
      ['192.0.2.1', '192.0.2.1'],
      ['::ffff:192.0.2.1', '192.0.2.1'],
      ['::FFFF:192.0.2.1', '192.0.2.1'],
      ['FE80::1%eth0', 'fe80::1'],
      ['2001:DB8::1', '2001:db8::1'],
      ['no address', ''],
    ] as const)
      assert.equal(canonicalAddress(text), canonical)
  })
})
