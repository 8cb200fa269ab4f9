import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { once } from 'node:events'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import * as fc from 'fast-check'
import { networks } from '#http/networks'
import { peerOf } from '#http/peer'
import { parseProxyHeader } from '#http/proxy-protocol'
import { runEdge, serverTls, trusting } from './fixtures.ts'
import { dial, head, wireOn } from './wire.ts'

const edges = await Promise.all(
  (['tls', 'plain'] as const).map(async (kind) => ({
    kind,
    ...(await runEdge({
      ...(kind === 'tls' ? { tls: serverTls } : {}),
      limits: { maxConnectionsPerAddress: 3 },
      proxyProtocol: { trustedProxies: networks(['127.0.0.1']), headerTimeoutMs: 200 },
      doors: {
        request: (req, res) => {
          const { address, port, tlsVersion } = peerOf(req.socket)
          const text = JSON.stringify({ address, port, tls: tlsVersion !== '' })
          res.writeHead(200, { 'content-length': text.length }).end(text)
        },
        upgrade: (_req, socket) => void socket.destroy(),
        connect: (_req, socket) => void socket.destroy(),
      },
    })),
  })),
)
after(() => Promise.all(edges.map(({ listener }) => listener.close(0))))

const signature = '0d0a0d0a000d0a515549540a'
const header = (versionAndCommand: string, family: string, body: string) =>
  Buffer.from(
    signature + versionAndCommand + family + (body.length / 2).toString(16).padStart(4, '0') + body,
    'hex',
  )
// 192.0.2.9:4711 to 198.51.100.1:443
const overIpv4 = header('21', '11', 'c0000209c6336401126701bb')
// [2001:db8::9]:4711 to [2001:db8::1]:443
const overIpv6 = header(
  '21',
  '21',
  '20010db800000000000000000000000920010db8000000000000000000000001126701bb',
)
const mapped = header(
  '21',
  '21',
  '00000000000000000000ffffc000020900000000000000000000ffffc6336401126701bb',
)
const withTlv = header('21', '11', 'c0000209c6336401126701bb040003000000')
const local = header('20', '00', '')

suite('a PROXY header', () => {
  for (const [name, bytes, address] of [
    ['over IPv4', overIpv4, '192.0.2.9'],
    ['over IPv6', overIpv6, '2001:db8::9'],
    ['with IPv4 in IPv6', mapped, '192.0.2.9'],
    ['with more behind its addresses', withTlv, '192.0.2.9'],
  ] as const)
    test(`${name} tells address, port and its own length`, () => {
      const parsed = parseProxyHeader(Buffer.concat([bytes, Buffer.from('rest')]))
      assert.deepEqual(parsed, {
        state: 'complete',
        header: { kind: 'proxied', address, port: 4711 },
        length: bytes.length,
      })
    })

  test('of a health check tells nothing', () => {
    const parsed = parseProxyHeader(local)
    assert.deepEqual(parsed, { state: 'complete', header: { kind: 'local' }, length: 16 })
  })

  test('is incomplete at each earlier byte', () => {
    for (const bytes of [overIpv4, overIpv6, withTlv, local])
      for (let length = 0; length < bytes.length; length++)
        assert.equal(parseProxyHeader(bytes.subarray(0, length)).state, 'incomplete', `${length}`)
  })

  for (const [name, bytes] of [
    ['another signature', Buffer.from('GET / HTTP/1.1\r\n')],
    ['version 1', Buffer.from('PROXY TCP4 192.0.2.9 198.51.100.1 4711 443\r\n')],
    ['another version', header('31', '11', 'c0000209c6336401126701bb')],
    ['an unknown command', header('22', '11', 'c0000209c6336401126701bb')],
    ['UDP', header('21', '12', 'c0000209c6336401126701bb')],
    ['a Unix socket', header('21', '31', '00'.repeat(216))],
    ['addresses cut short', header('21', '11', 'c0000209c6336401')],
    ['a length beyond reason', Buffer.from(`${signature}2111ffff`, 'hex')],
  ] as const)
    test(`is none: ${name}`, () => assert.equal(parseProxyHeader(bytes).state, 'invalid'))

  test('of any bytes behind the signature never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        parseProxyHeader(Buffer.concat([Buffer.from(signature, 'hex'), bytes]))
      }),
      { numRuns: 2000 },
    )
  })
})

for (const { kind, port, turned, listener } of edges)
  suite(`a ${kind} listener behind a load balancer`, () => {
    const get = head('GET /a HTTP/1.1')
    const isTls = kind === 'tls'
    /** Sends the header in these pieces, then asks. */
    const ask = async (...pieces: Buffer[]) => {
      const tcp = connect(port, '127.0.0.1').setNoDelay(true)
      await once(tcp, 'connect')
      for (const piece of pieces) {
        tcp.write(piece)
        if (pieces.length > 1) await sleep(5)
      }
      const wire = isTls
        ? await wireOn(
            connectTls({ socket: tcp, servername: 'localhost', ...trusting }),
            'secureConnect',
          )
        : await wireOn(tcp)
      wire.write(get)
      const answer = await wire.answer()
      wire.destroy()
      return answer.json()
    }

    test('knows the caller by its header', async () => {
      const expected = { address: '192.0.2.9', port: 4711, tls: isTls }
      assert.deepEqual(await ask(overIpv4), expected)
      assert.deepEqual(await ask(withTlv), expected)
      assert.deepEqual(await ask(overIpv6), { ...expected, address: '2001:db8::9' })
    })

    test('reads a header that comes in pieces', async () => {
      const pieces = [overIpv4.subarray(0, 5), overIpv4.subarray(5, 20), overIpv4.subarray(20)]
      assert.equal((await ask(...pieces)).address, '192.0.2.9')
    })

    test('takes a health check of the load balancer for what it is', async () => {
      assert.equal((await ask(local)).address, '127.0.0.1')
    })

    for (const [name, send] of [
      ['without a header', get],
      ['with a broken one', overIpv4.toString('latin1').replace('!', '1')],
      ['with half of one', overIpv4.toString('latin1', 0, 10)],
      ['that says nothing', ''],
    ] as const)
      test(`ends a connection ${name}, and counts it`, async () => {
        turned.length = 0
        const wire = await dial(port)
        wire.write(send)
        assert.equal(await wire.end(), '')
        assert.deepEqual(turned, ['other'])
      })

    test('bounds connections by the address in the header', async () => {
      while (listener.connections() > 0) await sleep(2)
      turned.length = 0
      const open = async () => {
        const wire = await dial(port)
        wire.socket.write(overIpv4)
        return wire
      }
      const wires = [await open(), await open(), await open()]
      while (listener.connections() < 3) await sleep(2)
      const tooMany = await open()
      await tooMany.end()
      assert.deepEqual(turned, ['too-many-connections'])
      assert.equal((await ask(overIpv6)).address, '2001:db8::9')
      for (const wire of wires) wire.destroy()
      while (listener.connections() > 0) await sleep(2)
      assert.equal((await ask(overIpv4)).address, '192.0.2.9')
    })
  })

test('a header from an address that is not trusted is nothing but bad bytes', async () => {
  const edge = await runEdge({
    proxyProtocol: { trustedProxies: networks(['10.0.0.0/8']), headerTimeoutMs: 200 },
    doors: {
      request: (req, res) => void res.end(peerOf(req.socket).address),
      upgrade: (_req, socket) => void socket.destroy(),
      connect: (_req, socket) => void socket.destroy(),
    },
  })
  const liar = await dial(edge.port)
  liar.socket.write(overIpv4)
  liar.write(head('GET /a HTTP/1.1'))
  assert.match(await liar.end(), /^HTTP\/1.1 400 /)
  const honest = await dial(edge.port)
  honest.write(head('GET /a HTTP/1.1', 'Connection: close'))
  assert.match(await honest.end(), /127\.0\.0\.1/)
  await edge.listener.close(0)
})
