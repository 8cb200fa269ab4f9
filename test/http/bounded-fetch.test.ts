import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'

import { after, suite, test } from 'node:test'
import { boundedFetch, type BoundedFetchOptions } from '#http/bounded-fetch'
import { makeWebCertificate, runHttp, runHttps } from '#test/fakes/https-server'

const { ca, server: certificate } = makeWebCertificate()
let answer = (_request: IncomingMessage, response: ServerResponse): void =>
  void response.end('hello')
let requests = 0
const server = await runHttps(certificate, (request, response) => {
  requests++
  answer(request, response)
})
const plain = await runHttp((_request, response) => response.end('plain'))
after(() => Promise.all([server.close(), plain.close()]))

const ask = async (url: string, options: BoundedFetchOptions = {}, question = {}) => {
  const fetcher = boundedFetch({ ca, timeoutMs: 2000, ...options })
  try {
    return await fetcher.ask(url, question)
  } finally {
    fetcher.close()
  }
}
const whyNot = async (url: string, options: BoundedFetchOptions = {}) => {
  const result = await ask(url, options)
  return result.ok ? `status ${result.status}` : result.why
}

suite('one bounded question', () => {
  test('is answered over TLS with the CA that was given', async () => {
    answer = (_request, response) => response.writeHead(200).end('hello')
    const result = await ask(server.url)
    assert.ok(result.ok)
    assert.equal(result.body.toString(), 'hello')
    assert.equal(await whyNot(server.url, { ca: undefined }), 'unreachable')
  })

  test('can be a POST with headers and a body', async () => {
    answer = (request, response) => {
      request.setEncoding('utf8')
      request.on('data', (body: string) =>
        response.end(`${request.method} ${request.headers['content-type']} ${body}`),
      )
    }
    const question = { method: 'POST', headers: { 'content-type': 'text/x' }, body: 'abc' }
    const result = await ask(server.url, {}, question)
    assert.equal(result.ok && result.body.toString(), 'POST text/x abc')
  })

  test('follows no redirect', async () => {
    const before = requests
    answer = (_request, response) => response.writeHead(302, { location: `${server.url}/x` }).end()
    assert.equal(await whyNot(server.url), 'status 302')
    assert.equal(requests, before + 1)
  })

  test('stops reading an answer that is too large, announced or not', async () => {
    for (const headers of [{}, { 'content-length': '2000000' }]) {
      answer = (_request, response) => {
        response.writeHead(200, headers)
        response.end(Buffer.alloc(2_000_000))
      }
      assert.equal(await whyNot(server.url), 'too-large')
    }
  })

  test('takes exactly as much as it may', async () => {
    for (const [bytes, expected] of [
      [1000, 'status 200'],
      [1001, 'too-large'],
    ] as const) {
      answer = (_request, response) => void response.end(Buffer.alloc(bytes))
      assert.equal(await whyNot(server.url, { maxBodyBytes: 1000 }), expected)
    }
  })

  test('waits no longer than it may for a head, nor for a body that trickles', async () => {
    answer = () => {}
    assert.equal(await whyNot(server.url, { timeoutMs: 100 }), 'timeout')
    answer = (_request, response) => {
      const timer = setInterval(() => response.write('.'), 20)
      response.on('close', () => clearInterval(timer))
    }
    assert.equal(await whyNot(server.url, { timeoutMs: 200 }), 'timeout')
  })

  test('says that nobody is there', async () => {
    const gone = await runHttp(() => {})
    await gone.close()
    const result = await ask(gone.url.replace('http:', 'https:'))
    assert.ok(!result.ok && result.why === 'unreachable')
    assert.match(result.fault, /ECONNREFUSED/)
  })

  test('goes over plain HTTP only where that is allowed', async () => {
    assert.equal(await whyNot(plain.url), 'url-refused')
    assert.equal(await whyNot(plain.url, { allowPlainHttp: true }), 'status 200')
  })

  for (const url of [
    'https://169.254.169.254/latest/meta-data',
    'https://[fe80::1]/',
    'https://[::ffff:169.254.169.254]/',
    'https://0.0.0.0/',
    'https://2852039166/', // 169.254.169.254 as one number
    'https://[fd00:ec2::254]/',
    'https://255.255.255.255/',
    'https://user:password@localhost/',
    'file:///etc/passwd',
    'localhost',
    '',
  ])
    test(`never dials ${JSON.stringify(url)}`, async () => {
      assert.equal(await whyNot(url), 'url-refused')
    })

  test('asks checkServerIdentity on every connection and believes it', async () => {
    answer = (_request, response) => void response.writeHead(200, { connection: 'close' }).end()
    let asked = 0
    const fetcher = boundedFetch({
      ca,
      checkServerIdentity: () => {
        asked++
        return asked > 2 ? Object.assign(new Error('not who it must be'), { code: 'X' }) : undefined
      },
    })
    after(fetcher.close)
    const outcomes: boolean[] = []
    for (let i = 0; i < 3; i++) outcomes.push((await fetcher.ask(server.url)).ok)
    assert.deepEqual(outcomes, [true, true, false])
    assert.equal(asked, 3)
  })

  test('goes past the proxy of the environment', async () => {
    let proxied = 0
    const proxy = await runHttp((_request, response) => {
      proxied++
      response.end()
    })
    const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy', 'NODE_USE_ENV_PROXY']
    const before = names.map((name) => process.env[name])
    for (const name of names) process.env[name] = name === 'NODE_USE_ENV_PROXY' ? '1' : proxy.url
    try {
      answer = (_request, response) => void response.end('direct')
      assert.equal(await whyNot(server.url), 'status 200')
      assert.equal(proxied, 0)
    } finally {
      names.forEach((name, at) => {
        const value = before[at]
        if (value === undefined) delete process.env[name]
        else process.env[name] = value
      })
      await proxy.close()
    }
  })
})
