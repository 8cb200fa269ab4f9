// CONNECT, server name and Host (or `:authority`): every combination, for each way out. A destination sees a request only where
// all of them name one place, and then it sees that place.
import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { runHttp } from '#test/fakes/https-server'
import { wireOn } from '#test/http/wire'
import { runDestination, runInspectionRig } from './inspection-rig.ts'
import { certificates, shop } from './rig.ts'

const certs = certificates()
/** The Host that each request came with, and the server name of its connection. */
const seen: string[] = []
const secure = await runDestination(
  certs.outside('DNS:api.test, DNS:other.test, DNS:direct.test'),
  (req, res) => {
    seen.push(`${req.headers.host} of ${(req.socket as TLSSocket).servername || 'none'}`)
    res.end('hello')
  },
)
const plain = await runHttp((req, res) => {
  seen.push(String(req.headers.host))
  res.end('hello')
})
after(plain.close)
const destination = { opens: ['127.0.0.0/8'], ports: [secure.port, plain.port] }
const inspected = { ...destination, protocol: 'tls-inspected' as const }
const rig = await runInspectionRig(certs, ['api.test', 'other.test'], {
  rules: [
    {
      id: 'shop',
      destinations: [
        { ...inspected, hosts: ['api.test', 'other.test'] },
        { ...destination, hosts: ['direct.test'] },
        { ...destination, hosts: ['api.test', 'other.test'], protocol: 'http' as const },
      ],
    },
  ],
})
for (const name of ['api.test', 'other.test', 'direct.test'])
  rig.dns.set(name, [{ type: 'A', address: '127.0.0.1' }])
const { port } = secure

/** `same` stands for the one place that CONNECT, or the target, names. */
const serverNames = ['same', 'SAME', 'other.test', 'evil.example', undefined] as const
const hosts = [
  ['same', 'same'],
  ['SAME', 'same'],
  ['other.test', 'elsewhere'],
  ['evil.example', 'elsewhere'],
  ['sub.same', 'elsewhere'],
  ['same without port', 'elsewhere'], // which is 443
  ['same with another port', 'elsewhere'],
  ['127.0.0.1', 'elsewhere'],
  ['absent', 'malformed'],
  ['empty', 'malformed'],
  ['twice', 'malformed'],
  ['a list', 'malformed'],
  ['with user information', 'malformed'],
  ['with a space', 'malformed'],
] as const
type Host = (typeof hosts)[number][0]

const headersOf = (host: Host, place: string): readonly string[] => {
  const [name = '', number = ''] = place.split(':')
  const texts: Record<Host, readonly string[]> = {
    same: [place],
    SAME: [place.toUpperCase()],
    'other.test': [`other.test:${number}`],
    'evil.example': [`evil.example:${number}`],
    'sub.same': [`sub.${place}`],
    'same without port': [name],
    'same with another port': [`${name}:1`],
    '127.0.0.1': [`127.0.0.1:${number}`],
    absent: [],
    empty: [''],
    twice: [place, 'evil.example'],
    'a list': [`${place}, evil.example`],
    'with user information': [`evil.example@${place}`],
    'with a space': [`${place} evil.example`],
  }
  return texts[host].map((value) => `Host: ${value}`)
}
const requestFor = (target: string, host: Host, place: string) =>
  [`GET ${target} HTTP/1.1`, ...headersOf(host, place), 'Connection: close', '', ''].join('\r\n')
const nameOf = (serverName: (typeof serverNames)[number], host: string) =>
  serverName === 'same' ? host : serverName === 'SAME' ? host.toUpperCase() : serverName
const tagIn = (head: string) => /^x-sallyport-error: (.*)$/im.exec(head)?.[1] ?? 'none'

/** TLS in a tunnel, or how it failed. */
const tlsTo = async (
  host: string,
  servername: string | undefined,
  alpn = 'http/1.1',
): Promise<TLSSocket | string> => {
  const { wire, answer } = await rig.connect(`${host}:${port}`)
  assert.equal(answer.status, 200)
  const tls = connectTls({
    socket: wire.socket,
    ...(servername === undefined ? {} : { servername }),
    ALPNProtocols: [alpn],
    ca: [rig.ca, certs.outsideRoot.pem],
    checkServerIdentity: () => undefined,
  })
  return new Promise((resolve) => {
    tls.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'broken'))
    tls.once('close', () => resolve('closed'))
    tls.once('secureConnect', () => resolve(tls))
  })
}
const seenBy = async <T>(act: () => Promise<T>): Promise<readonly [T, readonly string[]]> => {
  const before = seen.length
  const result = await act()
  return [result, seen.slice(before)]
}
let cases = 0
after(() => assert.ok(cases > 150, `only ${cases} combinations`))
const combination = (name: string, run: () => Promise<void>) => {
  cases += 1
  test(name, run)
}

suite('plain requests: the target against Host', () => {
  for (const [host, is] of hosts)
    combination(`Host ${host}`, async () => {
      const place = `api.test:${plain.port}`
      const wire = await rig.dialProxy(shop)
      const [answer, reached] = await seenBy(() => {
        wire.write(requestFor(`http://${place}/`, host, place))
        return wire.answer()
      })
      wire.destroy()
      if (is === 'same') assert.deepEqual([answer.status, ...reached], [200, place])
      else {
        assert.deepEqual([answer.status, ...reached], [400])
        const tag = tagIn(answer.head)
        assert.equal(is === 'elsewhere', tag === 'authority-mismatch', tag)
      }
    })
})

suite('CONNECT that nobody looks into: its host against the server name', () => {
  for (const serverName of serverNames)
    for (const host of ['same', 'other.test', 'evil.example'] as const)
      combination(`server name ${serverName ?? 'none'}, Host ${host}`, async () => {
        const place = `direct.test:${port}`
        const [outcome, reached] = await seenBy(async () => {
          const tls = await tlsTo('direct.test', nameOf(serverName, 'direct.test'))
          if (typeof tls === 'string') return tls
          const wire = await wireOn(tls)
          wire.write(requestFor('/', host, place))
          const text = await wire.end()
          return text.split('\r\n', 1)[0]
        })
        const isSame = serverName === 'same' || serverName === 'SAME'
        assert.equal(outcome === 'HTTP/1.1 200 OK', isSame, outcome)
        // Within TLS the Host is between the two ends; it is the host that was connected to that reads it.
        assert.deepEqual(
          reached.map((text) => text.split(' of ')[1]?.toLowerCase()),
          isSame ? ['direct.test'] : [],
        )
      })
})

suite('inspected HTTP/1.1: CONNECT against the server name against Host', () => {
  for (const serverName of serverNames)
    for (const [host, is] of hosts)
      combination(`server name ${serverName ?? 'none'}, Host ${host}`, async () => {
        const place = `api.test:${port}`
        const [outcome, reached] = await seenBy(async () => {
          const tls = await tlsTo('api.test', nameOf(serverName, 'api.test'))
          if (typeof tls === 'string') return 'no TLS'
          const wire = await wireOn(tls)
          wire.write(requestFor('/', host, place))
          const text = await wire.end()
          return `${text.slice(9, 12)} ${tagIn(text)}`
        })
        if (serverName !== 'same' && serverName !== 'SAME')
          return assert.deepEqual([outcome, ...reached], ['no TLS'])
        if (is === 'same')
          return assert.deepEqual([outcome, ...reached], ['200 none', `${place} of api.test`])
        assert.deepEqual(reached, [])
        if (is === 'elsewhere') assert.equal(outcome, '421 host-misdirected')
        else assert.match(outcome, /^400 (host-invalid|request-malformed)$/)
      })
})

/** `:authority` and `host` of HTTP/2, where one place may be named twice. */
const authorities = [
  [':authority same', 'same'],
  [':authority SAME', 'same'],
  [':authority same and host same', 'same'],
  ['host same alone', 'same'],
  [':authority other.test', 'elsewhere'],
  [':authority evil.example', 'elsewhere'],
  [':authority sub.same', 'elsewhere'],
  [':authority same without port', 'elsewhere'],
  [':authority same with another port', 'elsewhere'],
  ['host other.test alone', 'elsewhere'],
  [':authority same and host evil.example', 'malformed'],
  [':authority evil.example and host same', 'malformed'],
  [':authority same with user information', 'reset'],
  ['neither', 'malformed'],
] as const
type Authorities = (typeof authorities)[number][0]

const namesOf = (names: Authorities, place: string): Record<string, string> => {
  const [name = '', number = ''] = place.split(':')
  const texts: Record<Authorities, Record<string, string>> = {
    ':authority same': { ':authority': place },
    ':authority SAME': { ':authority': place.toUpperCase() },
    ':authority same and host same': { ':authority': place, host: place },
    'host same alone': { host: place },
    ':authority other.test': { ':authority': `other.test:${number}` },
    ':authority evil.example': { ':authority': `evil.example:${number}` },
    ':authority sub.same': { ':authority': `sub.${place}` },
    ':authority same without port': { ':authority': name },
    ':authority same with another port': { ':authority': `${name}:1` },
    'host other.test alone': { host: `other.test:${number}` },
    ':authority same and host evil.example': { ':authority': place, host: 'evil.example' },
    ':authority evil.example and host same': { ':authority': 'evil.example', host: place },
    ':authority same with user information': { ':authority': `evil.example@${place}` },
    neither: { ':authority': '' }, // Node adds one where there is neither
  }
  return texts[names]
}

/** Of one request over HTTP/2: its status and tag, or that its stream was reset. */
const askHttp2 = async (tls: TLSSocket, names: Record<string, string>): Promise<string> => {
  const session = connectHttp2('https://api.test', { createConnection: () => tls })
  session.on('error', () => {})
  try {
    return await new Promise<string>((resolve) => {
      const stream = session.request({
        ':method': 'GET',
        ':scheme': 'https',
        ':path': '/',
        ...names,
      })
      stream.on('response', (headers: IncomingHttpHeaders & { ':status'?: number }) =>
        resolve(`${headers[':status']} ${String(headers['x-sallyport-error'] ?? 'none')}`),
      )
      stream.on('error', () => resolve('reset'))
      stream.on('close', () => resolve('reset'))
      stream.resume()
    })
  } finally {
    session.destroy()
  }
}

suite('inspected HTTP/2: CONNECT against the server name against :authority and host', () => {
  for (const serverName of serverNames)
    for (const [names, is] of authorities)
      combination(`server name ${serverName ?? 'none'}, ${names}`, async () => {
        const place = `api.test:${port}`
        const [outcome, reached] = await seenBy(async () => {
          const tls = await tlsTo('api.test', nameOf(serverName, 'api.test'), 'h2')
          if (typeof tls === 'string') return 'no TLS'
          assert.equal(tls.alpnProtocol, 'h2')
          return askHttp2(tls, namesOf(names, place))
        })
        if (serverName !== 'same' && serverName !== 'SAME')
          return assert.deepEqual([outcome, ...reached], ['no TLS'])
        if (is === 'same')
          return assert.deepEqual([outcome, ...reached], ['200 none', `${place} of api.test`])
        assert.deepEqual(reached, [])
        if (is === 'elsewhere') assert.equal(outcome, '421 host-misdirected')
        else assert.match(outcome, /^(400 (host-invalid|request-malformed)|reset)$/)
      })
})
