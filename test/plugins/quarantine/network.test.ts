import assert from 'node:assert/strict'
import { BlockList } from 'node:net'
import { suite, test } from 'node:test'
import { addressKey, maskedKey, networkText, parseNetwork } from '#plugins/quarantine/network'

suite('a network', () => {
  for (const [text, form] of [
    ['203.0.113.9', '203.0.113.9'],
    ['203.0.113.9/32', '203.0.113.9'],
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['2001:DB8:0:0:0:0:0:0/32', '2001:db8::/32'],
    ['::1', '::1'],
    ['::/0', '::/0'],
    ['2001:db8::192.0.2.0/124', '2001:db8::c000:200/124'],
    ['::ffff:203.0.113.0/120', '203.0.113.0/24'],
  ] as const)
    test(`${text} is ${form}`, () => {
      const read = parseNetwork(text)
      assert.ok(typeof read !== 'string', JSON.stringify(read))
      assert.equal(networkText(read), form)
    })

  for (const text of [
    '',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '10.0.0.0/',
    '10.0.0.0/08x',
    '10.1.0.0/8',
    '10.0.0.1/31',
    '2001:db8::1/64',
    '::/129',
    'fe80::1%eth0',
    'example.com',
    '010.0.0.1',
    '1.2.3',
  ])
    test(`${JSON.stringify(text)} is none`, () =>
      assert.equal(typeof parseNetwork(text), 'string', JSON.stringify(parseNetwork(text))))
})

test('an address is in a network exactly if Node says so', () => {
  let inside = 0
  let number = 1
  const random = () => (number = (number * 48_271) % 2_147_483_647)
  for (let i = 0; i < 3000; i += 1) {
    const isV4 = i % 2 === 0
    const bits = random() % (isV4 ? 33 : 129)
    const group = () => (random() % 3 === 0 ? 0 : random() % 65_536).toString(16)
    const base = isV4
      ? `10.${random() % 4}.${random() % 4}.${random() % 256}`
      : `2001:db8:${group()}:${group()}::${group()}`
    const family = isV4 ? 'ipv4' : 'ipv6'
    const other = isV4
      ? `10.${random() % 4}.${random() % 4}.${random() % 256}`
      : `2001:db8:0:${group()}::${group()}`
    const oracle = new BlockList()
    oracle.addSubnet(base, bits, family)
    const network = maskedKey(addressKey(base), bits)
    const isIn = maskedKey(addressKey(other), bits) === network
    assert.equal(isIn, oracle.check(other, family), `${other} in ${base}/${bits}`)
    if (isIn) inside += 1
  }
  assert.ok(inside > 300 && inside < 2700, `${inside} inside`)
})
