// Every row of the table of attacks on egress proxies, over real sockets. Each names what it tries, and must not get there.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { runHttp } from '#test/fakes/https-server'
import type { DnsAnswer } from '#test/fakes/dns-server'
import { certificates, refusalOf, runRig, shop } from './rig.ts'

/** What must never be reached: it counts who comes. */
let visits = 0
const inside = createServer((socket) => {
  visits += 1
  socket.on('error', () => {}).end('the crown jewels')
})
await once(inside.listen(0, '127.0.0.1'), 'listening')
const insidePort = (inside.address() as AddressInfo).port
after(() => inside.close())
const plain = await runHttp((req, res) => {
  if (req.url === '/forge') res.setHeader('x-sallyport-error', 'destination-denied')
  if (req.url === '/redirect') res.writeHead(302, { location: `http://127.0.0.1:${insidePort}/` })
  res.end(JSON.stringify({ url: req.url, headers: req.rawHeaders }))
})
after(plain.close)

const certs = certificates()
const rig = await runRig(certs, {
  dns: { timeoutMs: 30_000 }, // aliases are waited for a tenth of it
  deny: [
    { id: 'never', hosts: ['**.banned.ex.test', 'banned.ex.test'] },
    { id: 'one-address', networks: ['127.0.0.9/32'] },
  ],
  rules: [
    {
      id: 'shop',
      destinations: [
        {
          hosts: ['**.ex.test', 'one.ex.test', 'banned.ex.test'],
          ports: [443, insidePort],
          protocol: 'tcp',
        },
        {
          hosts: ['opened.ex.test', 'rebind-opened.ex.test'],
          ports: [insidePort],
          protocol: 'tcp',
          opens: ['127.0.0.0/8'],
        },
        { hosts: ['metadata.google.internal'], ports: [80, 443], protocol: 'tcp' },
        { networks: ['127.0.0.1/32'], ports: [insidePort], protocol: 'tcp' },
        { hosts: ['plain.lan'], ports: [plain.port], protocol: 'http', opens: ['127.0.0.0/8'] },
        {
          hosts: ['scoped.lan'],
          ports: [plain.port],
          protocol: 'http',
          opens: ['127.0.0.0/8'],
          methods: ['GET'],
          paths: ['/open'],
        },
        { hosts: ['everything.lan'], ports: [443], protocol: 'tcp', opens: ['0.0.0.0/0', '::/0'] },
      ],
    },
  ],
  more: { connectTimeoutMs: 300 },
})
const { dns } = rig
const a = (address: string, ttl?: number): DnsAnswer => [
  { type: address.includes(':') ? 'AAAA' : 'A', address, ...(ttl === undefined ? {} : { ttl }) },
]
for (const name of ['opened.ex.test', 'plain.lan', 'scoped.lan']) dns.set(name, a('127.0.0.1'))

const ask = async (place: string) => {
  const { wire, answer } = await rig.connect(place)
  wire.destroy()
  return refusalOf(answer)
}
const refused = (place: string, tag: string) =>
  void test(`${place}: ${tag}`, async () => {
    const before = visits
    assert.equal(await ask(place), tag)
    assert.equal(visits, before, 'it was reached')
  })

suite('an address in another spelling', () => {
  for (const spelling of [
    '2130706433',
    '0x7f.1',
    '0x7f000001',
    '0177.0.0.1',
    '127.1',
    '00127.0.0.1',
    '127.0.0.1.',
    '0',
    'a.0x1',
    '1.2.3.4.5',
  ])
    refused(`${spelling}:${insidePort}`, '400 authority-invalid')
  for (const spelling of ['①②⑦.0.0.1', '127。0。0。1', 'ⓛocalhost.ex.test', 'a。ex.test'])
    test(`${spelling}: not plain ASCII`, async () => {
      const wire = await rig.dialProxy(shop)
      wire.socket.write(`CONNECT ${spelling}:443 HTTP/1.1\r\nHost: x\r\n\r\n`, 'utf8')
      const { status } = await wire.answer()
      assert.equal(status, 400)
      wire.destroy()
    })
})

suite('an address in another address', () => {
  for (const [i, address] of [
    '::ffff:127.0.0.1',
    '::127.0.0.1',
    '::ffff:0:7f00:1',
    '64:ff9b::7f00:1',
    '64:ff9b:1::7f00:1',
    '2002:7f00:1::',
    '2001:0:4136:e378:8000:63bf:80ff:fffe',
    '2606:4700::5efe:127.0.0.1',
  ].entries()) {
    refused(`[${address}]:443`, '403 destination-denied') // addresses need a rule of their own
    test(`a name that leads to ${address} is closed`, async () => {
      dns.set(`carried-${i}.ex.test`, a(address))
      assert.equal(await ask(`carried-${i}.ex.test:443`), '403 address-denied')
    })
  }
  refused('[fe80::1%25eth0]:443', '400 authority-invalid')
  refused('[fe80::1%eth0]:443', '400 authority-invalid')
})

suite('an authority that could be two', () => {
  for (const place of [
    'one.ex.test',
    'u:p@one.ex.test:443',
    'one.ex.test:443/admin',
    'one.ex.test:0443',
    'one.ex.test:0',
    'one.ex.test:65536',
    'one.ex.test:443:443',
    'one..ex.test:443',
    '.one.ex.test:443',
    'one.ex.test..:443',
    'one%2eex.test:443',
    '[one.ex.test]:443',
    ':443',
    '/admin',
    '-one.ex.test:443',
    `${'a'.repeat(64)}.ex.test:443`,
    `${'a.'.repeat(130)}ex.test:443`,
  ])
    refused(place, '400 authority-invalid')
  test('what the parser itself refuses is no way round', async () => {
    for (const place of ['one.ex.test:443#x', 'one.ex.test\\:443', 'one.ex.test:443 x'])
      assert.match(await ask(place), /^400 /, place)
  })
  test('CONNECT and Host of two places', async () => {
    const wire = await rig.dialProxy(shop)
    wire.write('CONNECT one.ex.test:443 HTTP/1.1\r\nHost: two.ex.test:443\r\n\r\n')
    assert.equal(refusalOf(await wire.answer()), '400 authority-mismatch')
    wire.destroy()
  })
  test('CONNECT with two Hosts, or with a body', async () => {
    for (const headers of [
      'Host: one.ex.test:443\r\nHost: one.ex.test:443\r\n',
      'Host: one.ex.test:443\r\nContent-Length: 5\r\n',
      'Host: one.ex.test:443\r\nTransfer-Encoding: chunked\r\n',
    ]) {
      const wire = await rig.dialProxy(shop)
      wire.write(`CONNECT one.ex.test:443 HTTP/1.1\r\n${headers}\r\nhello`)
      assert.equal((await wire.answer()).status, 400)
      wire.destroy()
    }
  })
  test('case and one dot at the end make no difference', async () => {
    assert.equal(await ask(`OPENED.ex.test.:${insidePort}`), '200 none')
  })
})

suite('a name that leads inside', () => {
  for (const address of [
    '127.0.0.1',
    '10.0.0.1',
    '169.254.1.1',
    '100.64.0.1',
    '0.0.0.0',
    '::1',
    'fc00::1',
  ])
    test(`by ${address}`, async () => {
      dns.set('inside.ex.test', a(address, 0))
      assert.equal(await ask(`inside.ex.test:${insidePort}`), '403 address-denied')
    })
  test('beside a public address', async () => {
    const before = visits
    dns.set('mixed.ex.test', [
      { type: 'A', address: '93.184.215.14' },
      { type: 'A', address: '127.0.0.1' },
    ])
    assert.equal(await ask(`mixed.ex.test:${insidePort}`), '403 address-denied')
    dns.set('mixed-families.ex.test', [
      { type: 'A', address: '93.184.215.14' },
      { type: 'AAAA', address: '::1' },
    ])
    assert.equal(await ask(`mixed-families.ex.test:${insidePort}`), '403 address-denied')
    assert.equal(visits, before)
  })
  test('by a CNAME', async () => {
    dns.set('alias.ex.test', [
      { type: 'CNAME', target: 'internal.corp' },
      { type: 'A', address: '10.0.0.1' },
    ])
    assert.equal(await ask('alias.ex.test:443'), '403 address-denied')
    const { egress } = await rig.recordOf(({ egress }) => egress?.host === 'alias.ex.test')
    assert.deepEqual(egress?.aliases, ['internal.corp'])
    assert.deepEqual(
      egress?.addresses?.map(({ address }) => address),
      ['10.0.0.1'],
    )
  })
  test('by many, of which eight stand in the record, and in a circle each once', async () => {
    const closed = { type: 'A', address: '10.0.0.1' } as const
    for (let i = 0; i < 12; i += 1)
      dns.set(`a${i}.ex.test`, [{ type: 'CNAME', target: `a${i + 1}.ex.test` }, closed])
    dns.set('b0.ex.test', [{ type: 'CNAME', target: 'b1.ex.test' }, closed])
    dns.set('b1.ex.test', [{ type: 'CNAME', target: 'b0.ex.test' }, closed])
    const aliasesOf = async (host: string) => {
      assert.equal(await ask(`${host}:443`), '403 address-denied')
      return (await rig.recordOf(({ egress }) => egress?.host === host)).egress?.aliases
    }
    const eight = Array.from({ length: 8 }, (_, i) => `a${i + 1}.ex.test`)
    assert.deepEqual(await aliasesOf('a0.ex.test'), eight)
    assert.deepEqual(await aliasesOf('b0.ex.test'), ['b1.ex.test'])
  })
  test('all addresses and their classes are in the record', async () => {
    const { egress } = await rig.recordOf(({ egress }) => egress?.host === 'mixed.ex.test')
    assert.deepEqual(egress?.addresses, [
      { address: '93.184.215.14', class: 'public', isAllowed: true },
      { address: '127.0.0.1', class: 'loopback', isAllowed: false },
    ])
  })
  test('by an address that `deny` names, even where the network is opened', async () => {
    dns.set('rebind-opened.ex.test', a('127.0.0.9', 0))
    assert.equal(await ask(`rebind-opened.ex.test:${insidePort}`), '403 address-denied')
  })
})

suite('DNS that changes its mind (rebinding)', () => {
  test('an answer is asked for once a request, and what was judged is dialled', async () => {
    dns.set('rebind-opened.ex.test', a('127.0.0.1', 0), a('10.0.0.1', 0))
    const asked = dns.asked.length
    assert.equal(await ask(`rebind-opened.ex.test:${insidePort}`), '200 none')
    assert.equal(
      dns.asked.slice(asked).filter((one) => one === 'A rebind-opened.ex.test').length,
      1,
    )
    assert.equal(await ask(`rebind-opened.ex.test:${insidePort}`), '403 address-denied')
  })
  test('with TTL 0 nothing is remembered', async () => {
    dns.set('public-then-inside.ex.test', a('203.0.114.1', 0), a('127.0.0.1', 0))
    const first = await ask(`public-then-inside.ex.test:${insidePort}`)
    assert.match(first, /^50[24] /) // it was tried, and is not there
    assert.equal(await ask(`public-then-inside.ex.test:${insidePort}`), '403 address-denied')
  })
  test('a remembered answer is judged anew, and by the rule of who asks', async () => {
    dns.set('opened.ex.test', a('127.0.0.1'))
    assert.equal(await ask(`opened.ex.test:${insidePort}`), '200 none')
  })
})

suite('metadata endpoints', () => {
  refused('metadata.google.internal:80', '403 destination-denied')
  refused('METADATA.google.internal.:443', '403 destination-denied')
  refused('169.254.169.254:443', '403 destination-denied')
  for (const address of [
    '169.254.169.254',
    '168.63.129.16',
    'fd00:ec2::254',
    '::ffff:169.254.169.254',
  ])
    test(`${address} is closed to a rule that opens everything`, async () => {
      dns.set('everything.lan', a(address, 0))
      assert.equal(await ask('everything.lan:443'), '403 address-denied')
    })
})

suite('where no rule leads', () => {
  refused('one.ex.test:22', '403 destination-denied')
  refused('one.ex.test:25', '403 destination-denied')
  refused('localhost:443', '403 destination-denied')
  refused('evil.example:443', '403 destination-denied')
  refused('x.banned.ex.test:443', '403 destination-denied')
  refused('banned.ex.test:443', '403 destination-denied')
  refused('1.1.1.1:443', '403 destination-denied')
  refused('[2606:4700::1111]:443', '403 destination-denied')
  test('each says by which rule', async () => {
    for (const [place, said] of [
      ['one.ex.test:22', /rule `shop` lists this host for other ports only/],
      ['x.banned.ex.test:443', /`deny` entry `never`/],
      ['1.1.1.1:443', /rule `shop` does not list this address/],
    ] as const) {
      const { wire, answer } = await rig.connect(place)
      assert.match(answer.json().detail, said)
      wire.destroy()
    }
  })
  test('an address that a rule lists with its port is reached', async () => {
    assert.equal(await ask(`127.0.0.1:${insidePort}`), '200 none')
  })
})

suite('who nobody is', () => {
  const as = async (workload: string | undefined, headers: readonly string[] = []) => {
    const { wire, answer } = await rig.connect('one.ex.test:443', { as: workload, headers })
    wire.destroy()
    return answer
  }
  test('without a certificate and without a token', async () => {
    const { wire, answer } = await rig
      .connect('one.ex.test:443', { as: '' })
      .catch(() => ({ wire: undefined, answer: undefined }))
    wire?.destroy()
    assert.equal(answer, undefined) // '' is no identity, so no certificate could be made
    const bare = await rig.dialProxy()
    bare.write('CONNECT one.ex.test:443 HTTP/1.1\r\nHost: one.ex.test:443\r\n\r\n')
    const refusedBare = await bare.answer()
    assert.equal(refusalOf(refusedBare), '407 workload-unidentified')
    assert.match(refusedBare.head, /^proxy-authenticate: Bearer/im)
    bare.destroy()
  })
  test('with a certificate of another trust domain, signed by our root', async () => {
    assert.equal(refusalOf(await as('spiffe://other.example/shop')), '407 workload-unidentified')
  })
  test('with a workload that no rule is for', async () => {
    const answer = await as('spiffe://mesh.example/ns/other/sa/other')
    assert.equal(refusalOf(answer), '403 destination-denied')
    assert.match(answer.json().detail, /no rule is for this workload/)
  })
  test('with credentials beside the certificate that are none', async () => {
    assert.equal(
      refusalOf(await as(shop, ['Proxy-Authorization: Basic eDp5'])),
      '503 issuer-unavailable', // the keys of tokens are not known here, so nothing is taken for granted
    )
    assert.equal(
      refusalOf(await as(shop, ['Proxy-Authorization: Digest x'])),
      '407 workload-unidentified',
    )
  })
})

suite('coming back to ourselves', () => {
  test('by our own listener', async () => {
    dns.set('self.ex.test', a('127.0.0.1', 0))
    await rig.reload({
      rules: [
        {
          id: 'shop',
          destinations: [
            { hosts: ['self.ex.test'], ports: [rig.port], protocol: 'tcp', opens: ['127.0.0.0/8'] },
          ],
        },
      ],
    })
    const { wire, answer } = await rig.connect(`self.ex.test:${rig.port}`)
    assert.equal(refusalOf(answer), '403 address-denied')
    assert.match(answer.json().detail, /own-listener/)
    wire.destroy()
  })
  test('by a chain of proxies, told by Via', async () => {
    const { wire, answer } = await rig.connect('one.ex.test:443', {
      headers: ['Via: 1.1 sallyport-test'],
    })
    assert.equal(answer.status, 400)
    assert.match(answer.head, /proxy_loop_detected/)
    wire.destroy()
  })
})

suite('plain requests', () => {
  before(() =>
    rig.reload({
      rules: [
        {
          id: 'shop',
          destinations: [
            { hosts: ['plain.lan'], ports: [plain.port], protocol: 'http', opens: ['127.0.0.0/8'] },
            {
              hosts: ['scoped.lan'],
              ports: [plain.port],
              protocol: 'http',
              opens: ['127.0.0.0/8'],
              methods: ['GET'],
              paths: ['/open'],
            },
          ],
        },
      ],
    }),
  )
  const send = async (line: string, ...headers: readonly string[]) => {
    const wire = await rig.dialProxy(shop)
    wire.write([line, ...headers, '', ''].join('\r\n'))
    await wire.until(/\r\n\r\n/)
    await sleep(30)
    const text = wire.received()
    wire.destroy()
    return text
  }
  const at = (host: string) => `${host}:${plain.port}`
  const get = (host: string, path: string, ...headers: readonly string[]) =>
    send(`GET http://${at(host)}${path} HTTP/1.1`, `Host: ${at(host)}`, ...headers)

  test('one gets through, without what is for the proxy alone', async () => {
    const text = await get(
      'plain.lan',
      '/a?b=c',
      'Proxy-Connection: keep-alive',
      'X-Forwarded-For: 1.2.3.4',
      'X-Kept: yes',
    )
    assert.match(text, /^HTTP\/1\.1 200/)
    assert.match(text, /x-sallyport-decision-id/)
    assert.match(text, /"url":"\/a\?b=c"/)
    assert.match(text, /"x-kept","yes"/i)
    assert.match(text, /"via","1\.1 sallyport-test"/)
    assert.doesNotMatch(text, /proxy-connection|x-forwarded-for/i)
  })
  test('target and Host of two places', async () => {
    const text = await send(`GET http://${at('plain.lan')}/ HTTP/1.1`, 'Host: internal.corp')
    assert.match(text, /^HTTP\/1\.1 400[^]*authority-mismatch/)
  })
  test('other schemes, user info, origin-form', async () => {
    for (const line of [
      `GET ftp://${at('plain.lan')}/ HTTP/1.1`,
      `GET http://u:p@${at('plain.lan')}/ HTTP/1.1`,
      'GET / HTTP/1.1',
      `GET http://plain.lan:99999/ HTTP/1.1`,
    ])
      assert.match(await send(line, `Host: ${at('plain.lan')}`), /^HTTP\/1\.1 400/, line)
  })
  test('methods and paths that are not listed', async () => {
    assert.match(await get('scoped.lan', '/open/a'), /^HTTP\/1\.1 200/)
    for (const path of ['/', '/opened', '/open/../secret', '/open/%2e%2e/secret', '//open'])
      assert.match(await get('scoped.lan', path), /^HTTP\/1\.1 40[03]/, path)
    const post = await send(
      `DELETE http://${at('scoped.lan')}/open HTTP/1.1`,
      `Host: ${at('scoped.lan')}`,
    )
    assert.match(post, /^HTTP\/1\.1 403[^]*other methods or paths only/)
  })
  test('a redirect is handed on and not followed', async () => {
    const before = visits
    assert.match(await get('plain.lan', '/redirect'), /^HTTP\/1\.1 302/)
    assert.equal(visits, before)
  })
  test('a destination cannot speak as the proxy', async () => {
    assert.doesNotMatch(await get('plain.lan', '/forge'), /x-sallyport-error/i)
  })
  test('an upgrade goes no other way', async () => {
    const text = await get('plain.lan', '/', 'Connection: Upgrade', 'Upgrade: websocket')
    assert.match(text, /^HTTP\/1\.1 400[^]*upgrade-refused/)
  })
  test('a tunnel to a host that is listed for plain requests only', async () => {
    assert.equal(await ask(at('plain.lan')), '403 destination-denied')
  })
  test('TRACE', async () => {
    assert.match(
      await send(`TRACE http://${at('plain.lan')}/ HTTP/1.1`, `Host: ${at('plain.lan')}`),
      /^HTTP\/1\.1 405/,
    )
  })
})

test('nothing of this was a bug of ours, nor is anything left open', async () => {
  assert.deepEqual(rig.bugs, [])
  for (let i = 0; i < 50 && rig.live.size() > 0; i += 1) await sleep(20)
  assert.equal(rig.live.size(), 0)
})
