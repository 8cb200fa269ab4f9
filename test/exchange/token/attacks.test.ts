import assert from 'node:assert/strict'
import {
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  sign,
  type JsonWebKey,
} from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { decodeJwt, decodeProtectedHeader, exportJWK, SignJWT } from 'jose'
import { tokenExchangeGrant, tokenTypes } from '#contract/token-exchange'
import { encoded } from '#test/fakes/token-maker'
import { alice, orders } from '../fixtures.ts'
import { exchangeIssuer } from '../running-exchange.ts'
import {
  assertionType,
  basic,
  batchApi,
  cronSecret,
  mainframeSecret,
  startExchangeWithClients,
  type ExchangeWithClients,
} from '../clients/exchange-with-clients.ts'

let exchange: ExchangeWithClients
/** Counts what is fetched from the address that attackers name. */
let fetches = 0
const trap = createServer((_request, response) => {
  fetches++
  response.end('{}')
})
let trapUrl = ''
let ownToken = ''
before(async () => {
  await new Promise<void>((resolve) => trap.listen(0, '127.0.0.1', () => resolve()))
  trapUrl = `http://127.0.0.1:${(trap.address() as AddressInfo).port}/keys`
  exchange = await startExchangeWithClients({
    selfService: { issuers: ['corp'], oneTimeIssuers: ['corp'] },
  })
  ownToken = await newToken({ audience: batchApi })
})
after(async () => {
  assert.equal(fetches, 0, 'something was fetched that an attacker named')
  trap.close()
  await exchange.stop()
})

const headers = basic('mainframe', mainframeSecret)
const asMainframe = (form: Record<string, string>) => exchange.post('/token', form, { headers })
const asAgent = (form: Record<string, string>) =>
  exchange.post('/token', { client_id: 'agent', ...form }, { client: exchange.agent })
const newToken = async (form: Record<string, string> = {}) => {
  const answer = await asMainframe(await exchange.form(form))
  assert.equal(answer.status, 200, answer.body.toString())
  return String(answer.json()['access_token'])
}
const refuses = async (subject_token: string) => {
  const answer = await asAgent(await exchange.form({ subject_token }))
  assert.equal(answer.status, 400, answer.body.toString())
  assert.equal(answer.json()['error'], 'invalid_request', answer.body.toString())
  assert.ok(!answer.body.toString().includes('eyJ'), 'the answer repeats a token')
  const asked = await exchange.post('/introspect', { token: subject_token }, { headers })
  assert.equal(asked.body.toString(), '{"active":false}')
}
const partsOf = (token: string) => {
  const [head = '', payload = '', signature = ''] = token.split('.')
  return { head, payload, signature }
}
const withHeader = (header: object) =>
  `${encoded({ ...decodeProtectedHeader(ownToken), ...header })}.${partsOf(ownToken).payload}`

test('the token that all attacks here begin with is taken', async () => {
  const answer = await asAgent(await exchange.form({ subject_token: ownToken }))
  assert.equal(answer.status, 200, answer.body.toString())
})

suite('a token of ours, changed', () => {
  for (const alg of ['none', 'None', 'nOnE', '', undefined, ['ES256'], 'es256'])
    test(`to alg ${JSON.stringify(alg)} is refused (CVE-2015-9235, CVE-2022-23540)`, async () => {
      const input = withHeader({ alg })
      for (const signature of ['', 'AA', partsOf(ownToken).signature])
        await refuses(`${input}.${signature}`)
    })

  test('to HS256 with a published key as the secret is refused (CVE-2016-10555, CVE-2023-48223, CVE-2026-34950)', async () => {
    const { keys } = (await exchange.ask({ path: '/keys' })).json() as { keys: JsonWebKey[] }
    assert.ok(keys.length > 0)
    const jwk = keys[0] ?? {}
    const pem = createPublicKey({ key: jwk, format: 'jwk' })
      .export({ type: 'spki', format: 'pem' })
      .toString()
    for (const secret of [pem, ` ${pem}`, JSON.stringify(jwk), '']) {
      const input = withHeader({ alg: 'HS256' })
      const mac = createHmac('sha256', secret).update(input).digest('base64url')
      await refuses(`${input}.${mac}`)
    }
  })

  for (const [what, bytes] of [
    ['r = s = 0 (CVE-2022-21449, CVE-2022-24884)', Buffer.alloc(64)],
    ['r and s beyond the order', Buffer.alloc(64, 0xff)],
    ['nothing (CVE-2020-28042)', Buffer.alloc(0)],
    ['DER', Buffer.from('3006020101020101', 'hex')],
  ] as const)
    test(`to a signature of ${what} is refused`, async () => {
      const { head, payload } = partsOf(ownToken)
      await refuses(`${head}.${payload}.${bytes.toString('base64url')}`)
    })

  test('to a key that it brings or names is refused, and nothing is fetched (CVE-2018-0114, CVE-2026-48522)', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const jwk = await exportJWK(publicKey)
    for (const more of [
      { jwk },
      { jku: trapUrl },
      { x5u: trapUrl },
      { jku: 'file:///etc/passwd' },
    ]) {
      const input = withHeader(more)
      const signature = sign('sha256', Buffer.from(input), {
        key: privateKey,
        dsaEncoding: 'ieee-p1363',
      })
      await refuses(`${input}.${signature.toString('base64url')}`)
    }
  })

  test('to more rights under the same signature is refused (cached payload, false signature)', async () => {
    const { head, signature } = partsOf(ownToken)
    const claims = decodeJwt(ownToken)
    const payload = encoded({ ...claims, sub: 'spiffe://mesh.example/user/root' })
    await refuses(`${head}.${payload}.${signature}`)
  })

  test('to another kind by its typ is refused (CVE-2023-51774)', async () => {
    for (const typ of ['JWT', 'txntoken+jwt', 'AT+JWT', 'application/at+jwt', undefined])
      await refuses(`${withHeader({ typ })}.${partsOf(ownToken).signature}`)
  })

  test('to a JSON serialisation or another number of parts is refused (GHSA-jc38-x7x8-2xc8, CVE-2025-27144)', async () => {
    const { head, payload, signature } = partsOf(ownToken)
    for (const text of [
      JSON.stringify({ protected: head, payload, signature }),
      `${head}.${payload}`,
      `${ownToken}.`,
      `${ownToken}=`,
      '.'.repeat(10_000),
      `${head}.${payload}.${signature}.${payload}.${signature}`,
    ])
      await refuses(text)
  })
})

suite('a token of one kind is not taken for another', () => {
  for (const [has, said] of [
    [tokenTypes.jwt, tokenTypes.accessToken],
    [tokenTypes.jwt, 'urn:ietf:params:oauth:token-type:id_token'],
    [tokenTypes.accessToken, 'urn:ietf:params:oauth:token-type:id_token'],
    [tokenTypes.accessToken, tokenTypes.txnToken],
  ] as const)
    test(`${has} said to be ${said}`, async () => {
      const subject_token = await newToken({ audience: batchApi, requested_token_type: has })
      const answer = await asAgent(await exchange.form({ subject_token, subject_token_type: said }))
      assert.equal(answer.json()['problem'], 'token-type-refused', answer.body.toString())
    })
})

suite('replay', () => {
  test('a one-time token is spent, however its signature is spelt (s → n - s)', async () => {
    const token = await exchange.subjectToken()
    const first = await spend(token)
    assert.equal(first.status, 200, first.body.toString())
    for (const again of [token, twinOf(token)]) {
      const answer = await spend(again)
      assert.equal(answer.json()['problem'], 'token-replayed', answer.body.toString())
    }
  })

  test('a DPoP proof is spent', async () => {
    const proof = await dpopProof()
    const form = await exchange.form({ audience: batchApi })
    const ask = () =>
      exchange.post('/token', form, { headers: { ...basic('cron', cronSecret), dpop: proof } })
    assert.equal((await ask()).status, 200)
    const again = await ask()
    assert.equal(again.json()['error'], 'invalid_dpop_proof')
    assert.equal(again.json()['problem'], 'token-replayed')
  })
})

const dpopKey = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const dpopProof = async (
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
  { privateKey, publicKey } = dpopKey,
) =>
  new SignJWT({
    jti: `${Math.random()}`,
    htm: 'POST',
    htu: `${exchangeIssuer}/token`,
    iat: Math.floor(Date.now() / 1000),
    ...claims,
  })
    .setProtectedHeader({
      typ: 'dpop+jwt',
      alg: 'ES256',
      jwk: await exportJWK(publicKey),
      ...header,
    })
    .sign(privateKey)

const spend = (subject_token: string) =>
  exchange.ask({
    method: 'POST',
    path: '/token',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: tokenExchangeGrant,
      subject_token,
      subject_token_type: tokenTypes.jwt,
      requested_token_type: tokenTypes.jwt,
      audience: orders,
    }).toString(),
  })

/** The other valid signature of an ES256 token. */
const twinOf = (token: string): string => {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  const { head, payload, signature } = partsOf(token)
  const bytes = Buffer.from(signature, 'base64url')
  const s = BigInt(`0x${bytes.subarray(32).toString('hex')}`)
  const twin = Buffer.from((order - s).toString(16).padStart(64, '0'), 'hex')
  return `${head}.${payload}.${Buffer.concat([bytes.subarray(0, 32), twin]).toString('base64url')}`
}

suite('a DPoP proof is refused', () => {
  const now = () => Math.floor(Date.now() / 1000)
  const rsaSmall = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const rows: Readonly<Record<string, () => Promise<string>>> = {
    'for another method': () => dpopProof({ htm: 'GET' }),
    'for another place': () => dpopProof({ htu: 'https://exchange.example:8444/introspect' }),
    'for a place with a query': () => dpopProof({ htu: `${exchangeIssuer}/token?a=b` }),
    'for the place on another port': () => dpopProof({ htu: 'https://exchange.example/token' }),
    'for a place with a name in it': () =>
      dpopProof({ htu: 'https://a@exchange.example:8444/token' }),
    'that is old': () => dpopProof({ iat: now() - 300 }),
    'that is of tomorrow': () => dpopProof({ iat: now() + 86_400 }),
    'without iat': () => dpopProof({ iat: undefined }),
    'without jti': () => dpopProof({ jti: undefined }),
    'of another type': () => dpopProof({}, { typ: 'JWT' }),
    'with a private key in it': async () =>
      dpopProof({}, { jwk: await exportJWK(dpopKey.privateKey) }),
    'with a secret for a key': () => dpopProof({}, { jwk: { kty: 'oct', k: 'AAAA' } }),
    'with the key of another': async () =>
      dpopProof(
        {},
        { jwk: await exportJWK(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey) },
      ),
    'with a key to be fetched': () => dpopProof({}, { jku: trapUrl }),
    'with an RSA key of 1024 bits': async () =>
      `${encoded({ typ: 'dpop+jwt', alg: 'RS256', jwk: await exportJWK(rsaSmall.publicKey) })}.${encoded({})}.AA`,
    'that came twice': async () => `${await dpopProof()}, ${await dpopProof()}`,
    'that is garbage': async () => 'abc',
  }
  for (const [name, proof] of Object.entries(rows))
    test(name, async () => {
      const answer = await exchange.post('/token', await exchange.form(), {
        headers: { ...basic('cron', cronSecret), dpop: await proof() },
      })
      assert.equal(answer.status, 400)
      assert.equal(answer.json()['error'], 'invalid_dpop_proof', answer.body.toString())
    })

  test('and none at all for a client that needs one, or for a token that cannot be bound', async () => {
    const cron = basic('cron', cronSecret)
    const without = await exchange.post('/token', await exchange.form(), { headers: cron })
    assert.equal(without.json()['error'], 'invalid_dpop_proof')
    const svid = await exchange.form({ requested_token_type: tokenTypes.jwt })
    const bound = await exchange.post('/token', svid, {
      headers: { ...cron, dpop: await dpopProof() },
    })
    assert.equal(bound.json()['error'], 'invalid_request')
  })
})

suite('a bound token', () => {
  test('is exchanged by who holds its key alone', async () => {
    const answer = await exchange.post('/token', await exchange.form({ audience: batchApi }), {
      headers: { ...basic('cron', cronSecret), dpop: await dpopProof() },
    })
    assert.equal(answer.json()['token_type'], 'DPoP', answer.body.toString())
    const subject_token = String(answer.json()['access_token'])
    const form = { client_id: 'agent', ...(await exchange.form({ subject_token })) }
    const ask = async (proof?: string) =>
      exchange.post('/token', form, {
        client: exchange.agent,
        ...(proof === undefined ? {} : { headers: { dpop: proof } }),
      })
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    for (const proof of [undefined, await dpopProof({}, {}, other)])
      assert.equal((await ask(proof)).json()['problem'], 'token-claim-invalid')
    assert.equal((await ask(await dpopProof())).status, 200)
  })
})

suite('who acts (keycloak/keycloak#52691, #50690, #53029)', () => {
  const withClaims = async (claims: Record<string, unknown>) =>
    exchange.form({ subject_token: await exchange.subjectToken(claims) })

  test('may_act names X, and Y asks: refused with and without an actor_token', async () => {
    for (const may_act of [
      { sub: 'spiffe://mesh.example/user/other' },
      { client_id: 'agent' },
      { sub: 'spiffe://mesh.example/user/agent', role: 'admin' },
      {},
      'spiffe://mesh.example/user/agent',
      null,
    ]) {
      const answer = await asMainframe(await withClaims({ may_act }))
      assert.equal(answer.json()['problem'], 'delegation-refused', JSON.stringify(may_act))
    }
  })

  test('an act is never dropped, by whomever the token is exchanged', async () => {
    const act = { sub: 'frontend', act: { sub: 'batch' } }
    const answer = await asMainframe(await withClaims({ act }))
    assert.equal(answer.status, 200, answer.body.toString())
    const iss = 'https://idp.example'
    assert.deepEqual(decodeJwt(String(answer.json()['access_token']))['act'], {
      sub: 'frontend',
      iss,
      act: { sub: 'batch', iss },
    })
  })

  test('a chain that is too long, or none, is refused', async () => {
    let act: object = { sub: 'a' }
    for (let i = 0; i < 8; i++) act = { sub: 'a', act }
    for (const one of [act, [], 'agent', { sub: 7 }, { sub: 'a', act: null }])
      assert.equal(
        (await asMainframe(await withClaims({ act: one }))).json()['problem'],
        'delegation-refused',
      )
  })

  test('a child never outlives its parent', async () => {
    const iat = Math.floor(Date.now() / 1000)
    const answer = await asMainframe(await withClaims({ iat, exp: iat + 30 }))
    assert.equal(decodeJwt(String(answer.json()['access_token'])).exp, iat + 30)
  })
})

suite('headers and parameters that two parts could read differently', () => {
  test('two Authorization headers are refused (GHSA-43wx-8qmj-9r9q)', async () => {
    const value = headers['authorization'] ?? ''
    const form = new URLSearchParams(await exchange.form()).toString()
    const answer = await rawAsk(
      `POST /token HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${value}\r\nAuthorization: ${value}\r\n` +
        `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${form.length}\r\nConnection: close\r\n\r\n${form}`,
    )
    assert.match(answer, /^HTTP\/1\.1 400 /)
  })

  test('a token in the query, or a Txn-Token as a header, proves nothing', async () => {
    const { subject_token = '', ...form } = await exchange.form()
    const query = await exchange.post(`/token?subject_token=${subject_token}`, form, { headers })
    assert.equal(query.json()['error'], 'invalid_request')
    const answer = await exchange.post(
      '/introspect',
      { token: ownToken },
      {
        headers: { 'txn-token': ownToken, 'x-spiffe-id': alice },
      },
    )
    assert.equal(answer.status, 401)
  })

  test('parameters in the URL, a coded body and other characters than UTF-8 are refused at each endpoint', async () => {
    const form = new URLSearchParams(await exchange.form()).toString()
    const type = 'application/x-www-form-urlencoded'
    for (const path of ['/token', '/introspect', '/revoke'])
      for (const [query, more] of [
        ['?scope=orders.read', {}],
        ['?', {}],
        ['', { 'content-encoding': 'gzip' }],
        ['', { 'content-encoding': 'identity' }],
        ['', { 'content-type': `${type}; charset=utf-16` }],
        ['', { 'content-type': `${type}; charset=utf-8; boundary=x` }],
        ['', { 'content-type': `${type}x` }],
      ] as const) {
        const answer = await exchange.ask({
          method: 'POST',
          path: `${path}${query}`,
          headers: { 'content-type': type, ...headers, ...more },
          body: form,
        })
        assert.equal(answer.status, 400, `${path}${query} ${JSON.stringify(more)}`)
        assert.equal(answer.json()['error'], 'invalid_request')
      }
    const spelt = { ...headers, 'content-type': `${type};charset="UTF-8"` }
    const taken = await exchange.ask({ method: 'POST', path: '/token', headers: spelt, body: form })
    assert.equal(taken.status, 200, taken.body.toString())
  })

  test('another grant is told that it is not offered, whatever else it brings', async () => {
    for (const form of [
      { grant_type: 'password', username: 'a', password: 'b' },
      { grant_type: 'authorization_code', code: 'a', redirect_uri: 'https://a' },
      { grant_type: 'client_credentials' },
      { grant_type: 'constructor' },
    ])
      assert.equal((await asMainframe(form)).json()['error'], 'unsupported_grant_type')
  })

  test('a restriction that is not known is refused, not ignored (goauthentik/authentik#23900)', async () => {
    for (const name of ['authorization_details', 'max_age', 'Scope', '__proto__', 'audience[]'])
      assert.equal(
        (await asMainframe(await exchange.form({ [name]: 'x' }))).json()['error'],
        'invalid_request',
      )
  })
})

suite('exhaustion', () => {
  test('a form beyond its bounds costs one answer', async () => {
    for (const [form, status] of [
      [{ subject_token: 'a'.repeat(1024 * 1024) }, 400],
      [{ subject_token: '.'.repeat(20_000) }, 400],
      [Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`p${i}`, '1'])), 400],
      [{ scope: Array.from({ length: 2000 }, (_, i) => `s${i}`).join(' ') }, 400],
      [{ client_secret: 'a'.repeat(20_000), client_id: 'cron' }, 400],
    ] as const) {
      const answer = await asMainframe(await exchange.form(form))
      assert.equal(answer.status, status, answer.body.toString())
      assert.ok(answer.body.length < 1000)
    }
  })

  test('a context that is too deep or too large is refused', async () => {
    const wish = {
      requested_token_type: tokenTypes.txnToken,
      audience: 'mesh.example',
      scope: 'orders.read',
    }
    for (const request_context of [
      `${'{"a":'.repeat(500)}1${'}'.repeat(500)}`,
      JSON.stringify({ a: 'a'.repeat(5000) }),
      '{"a":1,"a":2}',
      '{"__proto__":{}}',
      '[1]',
    ])
      assert.equal(
        (await asAgent(await exchange.form({ ...wish, request_context }))).json()['error'],
        'invalid_request',
        request_context.slice(0, 30),
      )
  })
})

test('an assertion by HS256 with the public key, or by none, is of nobody (CVE-2026-22817, CVE-2016-5431)', async () => {
  const pem = createPublicKey(exchange.batchKey).export({ type: 'spki', format: 'pem' }).toString()
  const { payload } = partsOf(await exchange.assertion())
  for (const [alg, secret] of [
    ['HS256', pem],
    ['HS256', ''],
    ['none', ''],
  ] as const) {
    const input = `${encoded({ alg, kid: 'b1' })}.${payload}`
    const mac = alg === 'none' ? '' : createHmac('sha256', secret).update(input).digest('base64url')
    const proof = { client_assertion: `${input}.${mac}`, client_assertion_type: assertionType }
    const answer = await exchange.post('/token', await exchange.form(proof))
    assert.equal(answer.json()['error'], 'invalid_client')
  }
})

test('no TLS session is resumed, so every connection checks the certificate (CVE-2025-23419, SPIRE 1.14.3)', async () => {
  const options = {
    host: '127.0.0.1',
    port: exchange.exchange.port,
    ca: exchange.roots(),
    servername: 'localhost',
    ...exchange.agent,
  }
  let session: Buffer | undefined
  const visit = () =>
    new Promise<boolean>((resolve, reject) => {
      let isReused: boolean | undefined
      const socket = connectTls({ ...options, ...(session ? { session } : {}) }, () => {
        isReused = socket.isSessionReused()
        socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
      })
      socket.on('session', (given: Buffer) => {
        session = given
      })
      socket.on('error', reject)
      socket.resume()
      socket.on('close', () => resolve(isReused ?? true))
    })
  assert.equal(await visit(), false)
  assert.equal(await visit(), false)
})

const rawAsk = (text: string) =>
  new Promise<string>((resolve, reject) => {
    let answer = ''
    const socket = connectTls(
      {
        host: '127.0.0.1',
        port: exchange.exchange.port,
        ca: exchange.roots(),
        servername: 'localhost',
      },
      () => socket.write(text),
    )
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      answer += chunk
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(answer))
  })
