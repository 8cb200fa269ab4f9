// Rows of the table of attacks that are about what a rule lists: addresses by themselves, and names by pattern.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { after, suite, test } from 'node:test'
import { dial } from '#gateway/egress/dial'
import { certificates, refusalOf, runRig, type RigOptions } from './rig.ts'

let visits = 0
const destination = createServer((socket) => {
  visits += 1
  socket.on('error', () => {}).end()
})
await once(destination.listen(0, '127.0.0.1'), 'listening')
after(() => destination.close())
const { port } = destination.address() as AddressInfo

const opens = ['127.0.0.0/8']
const rules: RigOptions['rules'] = [
  {
    id: 'shop',
    destinations: [
      { networks: ['0.0.0.0/0', '::/0'], ports: [port, 443], protocol: 'tcp' },
      {
        hosts: ['*.one.test', '**.any.test', 'ec2.*.cloud.test', 'api-*.glob.test'],
        ports: [port],
        protocol: 'tcp',
        opens,
      },
      {
        hosts: [
          'mixed.lan',
          'closed.lan',
          'metadata',
          'metadata.tencentyun.com',
          'metadata.packet.net',
        ],
        ports: [port],
        protocol: 'tcp',
        opens,
      },
    ],
  },
]
const rig = await runRig(certificates(), { rules, dns: { answers: 'first-allowed' } })
const toHere = [{ type: 'A', address: '127.0.0.1' }] as const

const ask = async (place: string) => {
  const { wire, answer } = await rig.connect(place)
  wire.destroy()
  return refusalOf(answer)
}

suite('an address that is asked for by itself', () => {
  test('is judged and dialled without a question to the name server', async () => {
    const [asked, visited] = [rig.dns.asked.length, visits]
    assert.equal(await ask(`127.0.0.1:${port}`), '200 none')
    assert.deepEqual([rig.dns.asked.length, visits], [asked, visited + 1])
  })
  for (const address of [
    '169.254.169.254',
    '169.254.170.2',
    '169.254.170.23',
    '100.100.100.200',
    '192.0.0.192',
    '168.63.129.16',
    '[fd00:ec2::254]',
    '[fd00:ec2::23]',
    '[::ffff:169.254.169.254]',
    '[64:ff9b::a9fe:a9fe]',
  ])
    test(`${address} is closed to a rule that lists every network`, async () => {
      assert.equal(await ask(`${address}:443`), '403 address-denied')
    })
})

suite('a metadata endpoint by its name', () => {
  for (const name of ['metadata', 'metadata.tencentyun.com', 'metadata.packet.net'])
    test(`${name} is closed to a rule that lists it`, async () => {
      const asked = rig.dns.asked.length
      assert.equal(await ask(`${name}:${port}`), '403 destination-denied')
      assert.equal(rig.dns.asked.length, asked)
    })
})

suite('a socket that is not where it was sent', () => {
  test('is closed, whatever was connected to', async () => {
    const dialled = await dial({
      addresses: ['localhost'], // no address, so the system looks it up as `dial` never should
      port,
      timeoutMs: 5000,
      signal: new AbortController().signal,
    })
    assert.ok(!dialled.ok)
    assert.equal(dialled.problem.tag, 'destination-unreachable')
    assert.match(String(dialled.problem.cause), /sent to localhost .* arrived at (127|::1)/)
  })
})

suite('a name of which one address is closed, where `answers` is `first-allowed`', () => {
  test('leads to those that are open, and to no other', async () => {
    rig.dns.set('mixed.lan', [
      { type: 'A', address: '169.254.169.254' },
      { type: 'A', address: '10.0.0.1' },
      ...toHere,
    ])
    rig.records.length = 0
    assert.equal(await ask(`mixed.lan:${port}`), '200 none')
    const { egress } = await rig.recordOf(() => true)
    assert.equal(egress?.dialled, '127.0.0.1')
    assert.equal(egress?.addresses?.length, 3)
  })
  test('leads nowhere without an open one', async () => {
    rig.dns.set('closed.lan', [{ type: 'A', address: '169.254.169.254' }])
    assert.equal(await ask(`closed.lan:${port}`), '403 address-denied')
  })
})

suite('a pattern of names', () => {
  for (const [host, said] of [
    ['a.one.test', '200 none'],
    ['one.test', '403 destination-denied'],
    ['a.b.one.test', '403 destination-denied'],
    ['aone.test', '403 destination-denied'],
    ['a.one.test.evil.test', '403 destination-denied'],
    ['a.any.test', '200 none'],
    ['a.b.c.any.test', '200 none'],
    ['any.test', '403 destination-denied'],
    ['notany.test', '403 destination-denied'],
    ['ec2.eu-1.cloud.test', '200 none'],
    ['ec2.eu.west.cloud.test', '403 destination-denied'],
    ['ec2.cloud.test', '403 destination-denied'],
    ['a.ec2.eu-1.cloud.test', '403 destination-denied'],
    ['api-2.glob.test', '200 none'],
    ['api-2.x.glob.test', '403 destination-denied'],
    ['my-api-2.glob.test', '403 destination-denied'],
  ] as const)
    test(`${host}: ${said}`, async () => {
      rig.dns.set(host, [...toHere])
      assert.equal(await ask(`${host}:${port}`), said)
    })
})

test('nothing of this was a bug of ours', () => assert.deepEqual(rig.bugs, []))
