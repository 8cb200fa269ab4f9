import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { addressBytes, addressText, looseIpv4Bytes } from '#contract/ip-address'
import { addressClasses } from '#plugins/egress-allowlist/address-class'
import { metadataNetworks, specialRanges } from '#plugins/egress-allowlist/special-ranges'
import { networkOf } from '#contract/ip-address'

const { classOf, isIn } = addressClasses(['2001:4860:64::/96', '2606:4700::/32'])

suite('what an address is', () => {
  const rows: readonly (readonly [address: string, kind: string])[] = [
    ['1.1.1.1', 'public'],
    ['2606:4701::1', 'public'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::FFFF:7f00:1', 'loopback'],
    ['::ffff:8.8.8.8', 'public'],
    ['::127.0.0.1', 'ipv4-compatible'],
    ['::ffff:0:7f00:1', 'ipv4-translated'],
    ['64:ff9b::7f00:1', 'nat64'],
    ['64:ff9b::a9fe:a9fe', 'metadata'],
    ['64:ff9b:1::a9fe:a9fe', 'metadata'],
    ['2002:a9fe:a9fe::', 'metadata'],
    ['2001:0:4136:e378:8000:63bf:5601:5601', 'metadata'], // Teredo: the client's address stands inverted
    ['::a9fe:a9fe', 'metadata'],
    ['2606:4701::5efe:10.0.0.1', 'private-use'], // ISATAP
    ['2606:4701::200:5efe:a00:1', 'private-use'],
    ['2606:4701::5efe:8.8.8.8', 'public'],
    ['2001:4860:64::a00:1', 'private-use'], // of the operator's own translator
    ['2001:4860:64::808:808', 'public'],
    ['2606:4700:0a00:0001::', 'private-use'], // a /32 translator
    ['168.63.129.16', 'metadata'],
    ['fd00:ec2::254', 'metadata'],
    ['100.100.100.200', 'metadata'],
    ['0.0.0.0', 'this-network'],
    ['::', 'unspecified'],
    ['::1', 'loopback'],
    ['4000::1', 'reserved'],
    ['fe80::1%eth0', 'not-an-address'],
    ['', 'not-an-address'],
  ]
  for (const [address, kind] of rows)
    test(`${address} is ${kind}`, () => assert.equal(classOf(address), kind))

  test('the first and the last address of every special range is closed, and the ones beside most are not', () => {
    let count = 0
    for (const { network } of specialRanges) {
      const last = network.bytes.map((byte, i) => {
        const bits = Math.min(8, Math.max(0, network.bits - 8 * i))
        return byte | (0xff >> bits)
      })
      for (const bytes of [network.bytes, last]) {
        count += 1
        assert.notEqual(classOf(addressText(bytes)), 'public', addressText(bytes))
      }
    }
    assert.equal(count, 2 * specialRanges.length)
    for (const address of ['9.255.255.255', '11.0.0.0', '172.15.255.255', '172.32.0.0'])
      assert.equal(classOf(address), 'public', address)
    for (const address of ['100.63.255.255', '100.128.0.0', '223.255.255.255', '2001:200::'])
      assert.equal(classOf(address), 'public', address)
  })

  test('a rule opens any network but metadata', () => {
    const opened = [networkOf('0.0.0.0/0'), networkOf('::/0')]
    for (const { network } of specialRanges.filter(({ kind }) => kind === 'private-use'))
      assert.equal(classOf(addressText(network.bytes), opened), 'public')
    for (const network of metadataNetworks)
      assert.equal(classOf(addressText(network.bytes), opened), 'metadata')
    assert.equal(classOf('64:ff9b::a9fe:a9fe', opened), 'metadata')
  })

  test('opening a translator does not open what stands behind it', () => {
    assert.equal(classOf('64:ff9b::8.8.8.8', [networkOf('64:ff9b::/96')]), 'public')
    assert.equal(classOf('64:ff9b::10.0.0.1', [networkOf('64:ff9b::/96')]), 'private-use')
  })

  test('a denied network is denied in every form', () => {
    const denied = [networkOf('8.8.8.0/24')]
    for (const form of ['8.8.8.8', '::ffff:8.8.8.8', '64:ff9b::808:808', '2002:808:808::1'])
      assert.ok(isIn(form, denied), form)
    assert.ok(!isIn('8.8.4.4', denied))
  })
})

suite('spellings', () => {
  test('an address has one spelling', () => {
    for (const text of [
      '127.1',
      '2130706433',
      '0x7f.1',
      '0177.0.0.1',
      '00127.0.0.1',
      '127.0.0.01',
      '127.0.0.256',
      '1.2.3.4.5',
      ' 1.2.3.4',
      '１.1.1.1',
      '::1%lo',
      '1::2::3',
      ':::',
      '1:2:3:4:5:6:7',
      '1:2:3:4:5:6:7:8:9',
      '12345::',
      '1.2.3.4::',
      '::1.2.3',
      '1:2:3:4:5:6:7::8:9',
    ])
      assert.equal(addressBytes(text), undefined, text)
  })

  test('others are understood, to tell what was meant', () => {
    for (const [text, meant] of [
      ['2130706433', '127.0.0.1'],
      ['0x7f.1', '127.0.0.1'],
      ['0177.0.0.1', '127.0.0.1'],
      ['127.1', '127.0.0.1'],
      ['00127.0.0.1', '87.0.0.1'],
      ['017700000001', '127.0.0.1'],
      ['01200034567', '10.0.57.119'],
      ['0xA9FEA9FE', '169.254.169.254'],
    ] as const)
      assert.equal(addressText(looseIpv4Bytes(text) ?? []), meant, text)
    for (const text of ['4294967296', '256.1', '08.1', 'a.b', '1.2.3.4.5'])
      assert.equal(looseIpv4Bytes(text), undefined, text)
  })

  test('IPv6 is written as RFC 5952 has it', () => {
    for (const [text, written] of [
      ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
      ['0:0:0:0:0:0:0:0', '::'],
      ['::ffff:1.2.3.4', '::ffff:102:304'],
      ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
      ['1:2:3:4:5:6::', '1:2:3:4:5:6::'],
    ] as const)
      assert.equal(addressText(addressBytes(text) ?? []), written)
  })
})
