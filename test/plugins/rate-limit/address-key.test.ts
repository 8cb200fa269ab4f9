import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressKey } from '#plugins/rate-limit/address-key'

for (const [address, key] of [
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['::ffff:c000:201', '192.0.2.1'],
  ['0:0:0:0:0:FFFF:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::', '2001:db8:1:2::/64'],
  ['2001:DB8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['::', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['64:ff9b::192.0.2.1', '192.0.2.1'],
  ['64:ff9b:1::192.0.2.1', '64:ff9b:1:0::/64'],
  ['1::8', '1:0:0:0::/64'],
  ['', 'no-address'],
  ['unknown', 'no-address'],
  ['192.0.2.1:80', 'no-address'],
  ['192.0.2.01', 'no-address'],
] as const)
  test(`${JSON.stringify(address)} counts as ${key}`, () => assert.equal(addressKey(address), key))
