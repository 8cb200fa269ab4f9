// What rules add to requests, over real sockets: to whom it goes, to whom not, and what becomes of answers that hold it.
import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { after, suite, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { secret } from '#contract/secret'
import { runHttp, runHttps } from '#test/fakes/https-server'
import { certificates, refusalOf, runRig, shop } from '../rig.ts'

const token = 'tok_live_0123456789'
const password = 'correct horse'
const pair = Buffer.from(`shop:${password}`).toString('base64')
const other = 'spiffe://mesh.example/ns/shop/sa/other'

const got: { url: string | undefined; headers: NodeJS.Dict<string | string[]>; body: string }[] = []
type Answer = (req: IncomingMessage, res: ServerResponse) => void
const answers: Record<string, Answer> = {
  '/v1/echo': (req, res) => res.end(JSON.stringify(req.headers)),
  '/v1/in-a-header': (req, res) =>
    res.setHeader('x-was', req.headers.authorization ?? '').end('nothing here'),
  '/v1/in-parts': async (_req, res) => {
    res.write('x'.repeat(2000))
    for (const letter of token) await new Promise((resolve) => res.write(letter, resolve))
    res.end('more')
  },
  '/v1/pair': (_req, res) => res.end(`{"pair":"${pair}"}`),
  '/v1/password': (_req, res) => res.end(password),
  '/v1/redirect': (req, res) =>
    res.writeHead(302, { location: `https://elsewhere.lan/?t=${token}`, 'x-for': req.url }).end(),
  '/v1/moved': (_req, res) => res.writeHead(302, { location: 'https://elsewhere.lan/' }).end(),
  '/v1/zipped': (_req, res) =>
    res.setHeader('content-encoding', 'gzip').end(gzipSync(`it is ${token}`)),
  '/v1/zipped-twice-named': (_req, res) =>
    res.setHeader('content-encoding', ['identity', 'gzip']).end(gzipSync(`it is ${token}`)),
  '/v1/zipped-on-the-way': (_req, res) => {
    const body = gzipSync(`it is ${token}`)
    res.socket?.write(
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n${body.length.toString(16)}\r\n`,
    )
    res.socket?.end(Buffer.concat([body, Buffer.from('\r\n0\r\n\r\n')]))
  },
  '/v1/in-chunks': (_req, res) => {
    const chunks = token.split('').map((letter) => `1;${token}=1\r\n${letter}\r\n`)
    res.socket?.end(
      `HTTP/1.1 200 ${token}\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\nx: ${token}\r\n\r\n`,
    )
  },
  '/v1/far': (_req, res) => res.end(`${'x'.repeat(200_000)}${token}`),
  '/v1/events': (_req, res) => {
    res.setHeader('content-type', 'text/event-stream')
    res.flushHeaders()
  },
}
const serve: Answer = (req, res) => {
  let body = ''
  req.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')))
  req.on('end', () => {
    got.push({ url: req.url, headers: req.headers, body })
    const answer = answers[req.url ?? '']
    if (answer) answer(req, res)
    else res.end('fine')
  })
}
const certs = certificates()
const api = await runHttps(
  certs.outside('DNS:api.lan, DNS:basic.lan, DNS:key.lan, DNS:aws.lan'),
  serve,
)
const stranger = await runHttps(certs.outside('DNS:other.lan'), serve)
const plain = await runHttp(serve)
after(() => Promise.all([api.close(), stranger.close(), plain.close()]))

const scanBytes = 65_536
const opens = ['127.0.0.0/8']
const https = (host: string, credential: string, more: object = {}) => ({
  hosts: [host],
  protocol: 'https' as const,
  ports: [api.port, stranger.port],
  opens,
  credential,
  ...more,
})
const rig = await runRig(certs, {
  rules: [
    {
      id: 'shop',
      workloads: [shop],
      destinations: [
        https('api.lan', 'api', { paths: ['/v1'], methods: ['GET', 'POST'] }),
        {
          hosts: ['api.lan'],
          protocol: 'https' as const,
          ports: [api.port],
          opens,
          paths: ['/open'],
        },
        https('basic.lan', 'basic'),
        https('key.lan', 'key'),
        https('aws.lan', 'aws'),
        { hosts: ['api.lan'], protocol: 'http', ports: [plain.port], opens },
      ],
    },
    {
      id: 'other',
      workloads: [other],
      destinations: [{ hosts: ['api.lan'], protocol: 'https', ports: [api.port], opens }],
    },
  ],
  more: {
    credentials: {
      api: { kind: 'bearer', token: secret(token), scanBytes },
      basic: { kind: 'basic', username: 'shop', password: secret(password), scanBytes },
      key: { kind: 'header', header: 'x-api-key', value: secret(token), scanBytes: 0 },
      aws: {
        kind: 'aws-sigv4',
        region: 'eu-central-1',
        service: 'execute-api',
        accessKeyId: secret('AKIDEXAMPLE'),
        secretAccessKey: secret('wJalrXUtnFEMI/K7MDENG'),
        payload: 'signed',
        maxSignedBodyBytes: 1000,
        scanBytes,
      },
    },
  },
})
for (const name of ['api.lan', 'basic.lan', 'key.lan', 'aws.lan'])
  rig.dns.set(name, [{ type: 'A', address: '127.0.0.1' }])

type Asking = {
  as?: string
  headers?: readonly string[]
  method?: string
  body?: string
  port?: number
}
const head = (url: string, { headers = [], method = 'GET', body }: Asking) =>
  [
    `${method} ${url} HTTP/1.1`,
    `Host: ${new URL(url).host}`,
    ...headers,
    ...(body === undefined ? [] : [`Content-Length: ${body.length}`]),
    '',
    body ?? '',
  ].join('\r\n')
/** The whole answer, or what came of it before it was broken off. */
const ask = async (host: string, path: string, asking: Asking = {}) => {
  got.length = 0
  rig.records.length = 0
  const wire = await rig.dialProxy(asking.as ?? shop)
  wire.write(
    head(`http://${host}:${asking.port ?? api.port}${path}`, {
      ...asking,
      headers: ['Connection: close', ...(asking.headers ?? [])],
    }),
  )
  const text = await wire.end()
  const [, status = '0'] = /^HTTP\/1\.1 (\d+)/.exec(text) ?? []
  return {
    text,
    status: Number(status),
    refusal: refusalOf({ status: Number(status), head: text }),
  }
}

suite('what the rule adds', () => {
  for (const [host, name, value] of [
    ['api.lan', 'authorization', `Bearer ${token}`],
    ['basic.lan', 'authorization', `Basic ${pair}`],
    ['key.lan', 'x-api-key', token],
  ] as const)
    test(`${host}: ${name}, instead of the workload's own`, async () => {
      const { status } = await ask(host, '/v1/x', {
        headers: [`${name}: mine`, 'Accept-Encoding: gzip', 'X-Kept: yes'],
      })
      assert.equal(status, 200)
      assert.equal(got[0]?.headers[name], value)
      assert.equal(got[0]?.headers['accept-encoding'], 'identity')
      assert.equal(got[0]?.headers['x-kept'], 'yes')
    })
  test('a signature of AWS for what goes out, body and all', async () => {
    const { status } = await ask('aws.lan', '/v1/x?b=2&a=1', {
      method: 'POST',
      body: '{"a":1}',
      headers: ['Authorization: mine', 'X-Amz-Date: never', 'Content-Type: application/json'],
    })
    assert.equal(status, 200)
    assert.equal(got[0]?.body, '{"a":1}')
    assert.match(
      String(got[0]?.headers.authorization),
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-central-1\/execute-api\/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date, /,
    )
    assert.match(String(got[0]?.headers['x-amz-date']), /^\d{8}T\d{6}Z$/)
  })
  test('stands in the record by its name alone', async () => {
    await ask('api.lan', '/v1/x')
    const record = await rig.recordOf(({ egress }) => egress?.credential !== undefined)
    assert.deepEqual(
      { ...record.egress?.credential, tookMs: 0 },
      { id: 'api', kind: 'bearer', tookMs: 0 },
    )
    assert.ok(!JSON.stringify(rig.records).includes(token))
  })
})

suite('it does not go', () => {
  const withoutIt = () => {
    assert.ok(!JSON.stringify(got).includes(token))
    return got.length
  }
  test('to another path of the host', async () => {
    assert.equal((await ask('api.lan', '/open')).status, 200)
    assert.equal(withoutIt(), 1)
  })
  test('with another method', async () => {
    assert.equal(
      (await ask('api.lan', '/v1/x', { method: 'PUT' })).refusal,
      '403 destination-denied',
    )
    assert.equal(withoutIt(), 0)
  })
  test('round its path', async () => {
    for (const path of ['/open/../v1/echo', '/open/%2e%2e/v1/echo', '/open//v1/echo'])
      await ask('api.lan', path)
    withoutIt()
  })
  test('over plain HTTP', async () => {
    assert.equal((await ask('api.lan', '/v1/x', { port: plain.port })).status, 200)
    assert.equal(withoutIt(), 1)
  })
  test('to a host that could not prove who it is', async () => {
    const { refusal } = await ask('api.lan', '/v1/x', { port: stranger.port })
    assert.equal(refusal, '502 destination-untrusted')
    assert.equal(withoutIt(), 0)
  })
  test('to another workload', async () => {
    assert.equal((await ask('api.lan', '/v1/x', { as: other })).status, 200)
    assert.equal(withoutIt(), 1)
  })
  test('where the workload has its own removed by Connection, and the rule adds its', async () => {
    await ask('api.lan', '/v1/x', { headers: ['Authorization: mine'] })
    const wire = await rig.dialProxy(shop)
    wire.write(head(`http://api.lan:${api.port}/v1/x`, { headers: ['Connection: authorization'] }))
    await wire.answer()
    wire.destroy()
    for (const { headers } of got)
      assert.ok([undefined, `Bearer ${token}`].includes(String(headers.authorization)))
  })
  test('after a redirect, which is the workload’s to follow', async () => {
    const { status, text } = await ask('api.lan', '/v1/moved')
    assert.equal(status, 302)
    assert.match(text, /location: https:\/\/elsewhere\.lan\/\r\n/)
    assert.equal(got.length, 1)
  })
})

suite('an answer that holds it is stopped', () => {
  for (const [what, host, path] of [
    ['in its body', 'api.lan', '/v1/echo'],
    ['in a header', 'api.lan', '/v1/in-a-header'],
    ['in a Location', 'api.lan', '/v1/redirect'],
    ['in a header, though its body is not looked at', 'key.lan', '/v1/redirect'],
    ['the name and password as they were sent', 'basic.lan', '/v1/pair'],
    ['the password alone', 'basic.lan', '/v1/password'],
  ] as const)
    test(`${what}: 502, a tag and a record`, async () => {
      const { refusal, text } = await ask(host, path)
      assert.equal(refusal, '502 credential-returned')
      for (const value of [token, pair, password]) assert.ok(!text.includes(value))
      const record = await rig.recordOf(({ problem }) => problem === 'credential-returned')
      assert.deepEqual([record.outcome, record.step, record.status], ['failed', 'forward', 502])
      assert.ok(!JSON.stringify(record).includes(token))
    })
  test('byte by byte, when a part is through already: broken off, and nothing of it is through', async () => {
    const { text, status } = await ask('api.lan', '/v1/in-parts')
    assert.equal(status, 200)
    assert.ok(!text.includes(token.slice(0, 4)) && !text.includes('more'))
    await rig.recordOf(({ problem }) => problem === 'credential-returned')
  })
  for (const path of ['/v1/zipped', '/v1/zipped-twice-named', '/v1/zipped-on-the-way'])
    test(`encoded, so that it could not be looked at: ${path}`, async () => {
      const { refusal, text } = await ask('api.lan', path)
      assert.equal(refusal, '502 destination-broken')
      assert.ok(!text.includes('\x1f\x8b'))
    })
  test('a letter a chunk, in their extensions, the reason and a trailer', async () => {
    const { refusal, text } = await ask('api.lan', '/v1/in-chunks')
    assert.equal(refusal, '502 credential-returned')
    assert.ok(!text.includes(token.slice(0, 4)))
  })
})

suite('an answer that does not', () => {
  test('goes on whole', async () => {
    const { text } = await ask('api.lan', '/v1/x')
    assert.match(text, /\r\n\r\n4\r\nfine\r\n0\r\n\r\n$|\r\n\r\nfine$/)
  })
  test('a stream of events begins at once', async () => {
    const wire = await rig.dialProxy(shop)
    wire.write(head(`http://api.lan:${api.port}/v1/events`, {}))
    assert.match(await wire.until(/\r\n\r\n/), /^HTTP\/1\.1 200/)
    wire.destroy()
  })
  test('is looked through only so far', async () => {
    const { status, text } = await ask('api.lan', '/v1/far')
    assert.equal(status, 200)
    assert.ok(text.includes(token)) // as the reference says of scanBytes
  })
})
