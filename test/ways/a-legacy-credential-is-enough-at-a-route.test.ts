import assert from 'node:assert/strict'
import { createHash, createHmac, randomUUID, scryptSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { after, suite, test } from 'node:test'
import { bundleFile } from '#config/policy/sources'
import { makeCertificate, rootExtensions } from '#test/fakes/openssl'
import { askAt, eventually, meshRig, openRoute, recordsIn, tokenRoute } from './rig.ts'

const rig = await meshRig()
after(rig.close)

const key = 'printer-key-0123456789abcdef0123456789abcdef'
const password = 'as long as people choose them'
const shared = 'what two sides share, and is long enough'
const salt = Buffer.from('sixteen bytes of')
const plant = makeCertificate({ subject: '/CN=plant', extensions: rootExtensions() })
const certificateOf = (name: string, issuer = plant) =>
  makeCertificate({
    issuer,
    subject: '/CN=robot',
    extensions: ['extendedKeyUsage = clientAuth', `subjectAltName = DNS:${name}`],
  })
const robot = certificateOf('robot.plant.example')
const tls = ({ pem, keyPem }: typeof robot) => ({ cert: pem, key: keyPem })
const idOf = (name: string) => `spiffe://mesh.test/legacy/${name}`
const callers = {
  printer: {
    method: 'api_key',
    keyHashes: [`sha256:${createHash('sha256').update(key).digest('hex')}`],
  },
  mainframe: {
    method: 'basic',
    passwordHashes: [
      `scrypt:14:${salt.toString('base64url')}:${scryptSync(password, salt, 32, { N: 2 ** 14 }).toString('base64url')}`,
    ],
  },
  batch: { method: 'signed_request', secret: { file: rig.save('batch-secret', shared) } },
  robot: {
    method: 'client_certificate',
    caFile: rig.save('plant.pem', plant.pem),
    dnsNames: ['robot.plant.example'],
  },
} as const
const methods = Object.values(callers).map(({ method }) => method)

const exchangeWith = (legacy: object = {}, port = 0) =>
  rig.exchange(port, {
    lifetimes: { legacyTokenSeconds: 60 },
    policy: { bundleFile, requires: { kinds: ['legacy', 'external'] } },
    legacy: {
      atGateways: methods,
      failures: 3,
      windowSeconds: 600,
      callers: Object.fromEntries(
        Object.entries(callers).map(([name, credential]) => [
          name,
          { spiffeId: idOf(name), credential },
        ]),
      ),
      ...legacy,
    },
  })
const exchange = await exchangeWith()

type Seen = {
  readonly sub: string
  readonly legacy: string
  /** Of its token. */
  readonly jti: string
  readonly headers: readonly string[]
}
const seen: Seen[] = []
const service = await rig.service(async (req, res) => {
  const [, payload = ''] = (req.headers.authorization ?? '').split('.')
  const { sub, legacy, jti } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Seen
  seen.push({ sub, legacy, jti, headers: req.rawHeaders })
  const chunks: Buffer[] = []
  for await (const chunk of req) chunks.push(chunk as Buffer)
  res.end(JSON.stringify({ sub, legacy, bytes: Buffer.concat(chunks).length }))
})
const legacyRoute = (id: string, authenticate: object, more: object = {}) =>
  openRoute(id, `/${id}`, {
    authenticate,
    policy: { requires: { kinds: ['legacy', 'external'] } },
    ...more,
  })
const gateway = await rig.gateway('gateway', {
  exchangePort: exchange.exchange.port,
  exchange: {
    url: `https://localhost:${exchange.exchange.port}`,
    spiffeId: 'spiffe://mesh.test/exchange',
    caFile: rig.at('roots.pem'),
    timeoutMs: 10_000, // scrypt, on a busy machine
  },
  upstreams: { service: { endpoints: [service.url], spiffeId: 'spiffe://mesh.test/service' } },
  routes: [
    legacyRoute('any', { issuers: ['outside'], legacy: methods }),
    legacyRoute('keys', { legacy: ['api_key'] }),
    legacyRoute('closed', { legacy: methods }, { policy: { requires: { kinds: ['external'] } } }),
    tokenRoute('tokens', '/tokens'),
  ],
  listeners: {
    ingress: { tls: { certificates: [rig.ingressFiles], clientCertificates: {} } },
  },
})

type Sent = {
  readonly path?: string
  readonly method?: string
  readonly headers?: Record<string, string | string[]>
  readonly body?: string
  readonly cert?: string
  readonly key?: string
}
const ask = async ({ path = '/any/x', ...options }: Sent) => {
  const { status, headers, text } = await askAt(gateway.port, gateway.ca, path, options)
  return { outcome: headers['x-sallyport-problem'] ?? status, headers, text }
}
const basic = (name: string, secret: string) => ({
  authorization: `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`,
})

type Signing = {
  readonly path?: string
  readonly query?: string
  readonly body?: string
  readonly signedBody?: string
  readonly secret?: string
  readonly nonce?: string
  readonly without?: string
  readonly headers?: Record<string, string>
}
/** As RFC 9421 has it. */
const signed = ({
  path = '/any/x',
  query = '',
  body,
  signedBody = body,
  secret = shared,
  nonce = randomUUID(),
  without,
  headers: more = {},
}: Signing = {}): Sent => {
  const method = body === undefined ? 'GET' : 'POST'
  const ofBody: Record<string, string> =
    body === undefined
      ? {}
      : {
          'content-type': 'text/plain',
          'content-digest': `sha-256=:${createHash('sha256')
            .update(signedBody ?? '')
            .digest('base64')}:`,
        }
  const components = Object.entries({
    '@method': method,
    '@authority': 'localhost',
    '@path': path,
    '@query': query === '' ? '?' : query,
    ...ofBody,
  }).filter(([name]) => name !== without)
  const created = Math.floor(Date.now() / 1000)
  const params = `(${components.map(([name]) => `"${name}"`).join(' ')});created=${created};nonce="${nonce}";keyid="batch"`
  const base = components
    .map(([name, value]) => `"${name}": ${value}`)
    .concat(`"@signature-params": ${params}`)
    .join('\n')
  const signature = createHmac('sha256', secret).update(base).digest('base64')
  return {
    path: `${path}${query}`,
    method,
    headers: {
      ...ofBody,
      'signature-input': `sig=${params}`,
      signature: `sig=:${signature}:`,
      ...more,
    },
    ...(body === undefined ? {} : { body }),
  }
}

const chunked = (sent: Sent): Sent => ({
  ...sent,
  headers: { ...sent.headers, 'transfer-encoding': 'chunked' },
})
const twice = (sent: Sent, other: (line: string) => string): Sent => ({
  ...sent,
  headers: Object.fromEntries(
    Object.entries(sent.headers ?? {}).map(([name, value]) => [
      name,
      name.startsWith('signature') ? [String(value), other(String(value))] : value,
    ]),
  ),
})
const respelt = (sent: Sent, from: string | RegExp, to: string): Sent => {
  const input = String(sent.headers?.['signature-input']).replace(from, to)
  return { ...sent, headers: { ...sent.headers, 'signature-input': input } }
}

const good: Record<keyof typeof callers, () => Sent> = {
  printer: () => ({ headers: { 'x-api-key': key } }),
  mainframe: () => ({ headers: basic('mainframe', password) }),
  batch: () => signed({ body: 'an order', query: '?a=1' }),
  robot: () => tls(robot),
}

for (const [name, send] of Object.entries(good))
  suite(`${name}, by its ${callers[name as keyof typeof callers].method}`, () => {
    const { method } = callers[name as keyof typeof callers]

    test('calls through ingress, the service sees who it is and nothing of its credential', async () => {
      const { outcome, text } = await ask(send())
      assert.equal(outcome, 200, text)
      const { sub, legacy } = JSON.parse(text) as Seen
      assert.deepEqual([sub, legacy], [idOf(name), method])
      const { headers } = seen.at(-1) ?? { headers: [] }
      const names = headers.filter((_header, i) => i % 2 === 0).map((one) => one.toLowerCase())
      for (const credential of ['x-api-key', 'signature', 'signature-input'])
        assert.ok(!names.includes(credential), credential)
      assert.ok(!headers.some((value) => value.includes(key) || value.includes('Basic')))
    })

    test(`the exchange is ${method === 'signed_request' ? 'asked each time' : 'asked once'}`, async () => {
      for (let i = 0; i < 3; i++) assert.equal((await ask(send())).outcome, 200)
      const minted = new Set(seen.slice(-3).map(({ jti }) => jti))
      assert.equal(minted.size, method === 'signed_request' ? 3 : 1)
    })

    test('the policy decides about it', async () => {
      const sent =
        name === 'batch' ? signed({ path: '/closed/x' }) : { ...send(), path: '/closed/x' }
      assert.equal((await ask(sent)).outcome, 'policy-denied')
    })

    test('its record says who it was and by what, on both sides', async () => {
      const at = await gateway.record(
        ({ spiffeId, outcome }) => spiffeId === idOf(name) && outcome === 'forwarded',
      )
      assert.deepEqual([at.credential, at.mapping], [method, `legacy ${method}`])
      assert.equal(at.minted?.subject, idOf(name))
      const there = await eventually(() =>
        recordsIn(rig.at('exchange-audit.jsonl')).find(
          ({ spiffeId, outcome }) => spiffeId === idOf(name) && outcome === 'answered',
        ),
      )
      assert.equal(there.client, name)
      assert.equal(there.policy?.allow, true)
    })
  })

const strangerCa = makeCertificate({ subject: '/CN=plant', extensions: rootExtensions() })
for (const [what, sent, tag] of [
  ['nothing', () => ({}), 'credential-missing'],
  ['another key', () => ({ headers: { 'x-api-key': 'wrong' } }), 'credential-refused'],
  ['an empty key', () => ({ headers: { 'x-api-key': '' } }), 'credential-refused'],
  ['another password', () => ({ headers: basic('printer', password) }), 'credential-refused'],
  [
    'a certificate of another CA of that name',
    () => tls(certificateOf('robot.plant.example', strangerCa)),
    'credential-refused',
  ],
  [
    'a certificate of another name',
    () => tls(certificateOf('other.example')),
    'credential-refused',
  ],
  ['a signature by another key', () => signed({ secret: 'another' }), 'credential-refused'],
  ['a signature for another path', () => ({ ...signed(), path: '/any/y' }), 'credential-refused'],
  [
    'a signature for another query',
    () => ({ ...signed(), path: '/any/x?b=1' }),
    'credential-refused',
  ],
  [
    'a signature that does not cover the query',
    () => signed({ query: '?a=1', without: '@query' }),
    'credential-refused',
  ],
  [
    'a signature for another method',
    () => ({ ...signed(), method: 'DELETE' }),
    'credential-refused',
  ],
  [
    'a signature that does not cover the body',
    () => signed({ body: 'an order', without: 'content-digest' }),
    'credential-refused',
  ],
  [
    'a signature of another body',
    () => signed({ body: 'another order', signedBody: 'an order' }),
    'credential-refused',
  ],
  [
    'a signature that does not cover a cookie',
    () => signed({ headers: { cookie: 'a=b' } }),
    'credential-refused',
  ],
  [
    'another body in chunks',
    () => chunked(signed({ body: 'another order', signedBody: 'an order' })),
    'credential-refused',
  ],
  [
    'a body in chunks where none was signed',
    () => ({ ...chunked(signed()), body: 'an order' }),
    'request-malformed',
  ],
  [
    'two signatures, each in a line of its own',
    () => twice(signed(), (line) => line.replace('sig=', 'other=')),
    'credential-refused',
  ],
  ['one signature twice', () => twice(signed(), (line) => line), 'credential-refused'],
  ...[
    ['a component with a parameter', '"@method"', '"@method";req'],
    ['a parameter of the query alone', '"@query"', '"@query-param";name="a"'],
    ['a component of answers', '"@query"', '"@status"'],
    ['a component in upper case', '"@method"', '"@METHOD"'],
    ['a component twice', '"@method"', '"@method" "@method"'],
    ['a parameter twice', ';keyid=', ';keyid="x";keyid='],
    ['an instant as a text', /created=(\d+)/, 'created="$1"'],
    ['an instant with a fraction', /created=(\d+)/, 'created=$1.5'],
    ['no nonce', /;nonce="[^"]*"/, ''],
  ].map(
    ([what, from, to]) =>
      [
        `a signature of ${String(what)}`,
        () => respelt(signed({ query: '?a=1' }), from ?? '', String(to)),
        'credential-refused',
      ] as const,
  ),
  [
    'a signed body of more than a megabyte',
    () => signed({ body: 'x'.repeat(1_048_577) }),
    'body-too-large',
  ],
  [
    'a key and a password',
    () => ({ headers: { 'x-api-key': key, ...basic('mainframe', password) } }),
    'credential-ambiguous',
  ],
  [
    'a key and a token',
    () => ({ headers: { 'x-api-key': key, authorization: `Bearer ${rig.token()}` } }),
    'credential-ambiguous',
  ],
  ['two keys', () => ({ headers: { 'x-api-key': [key, 'wrong'] } }), 'credential-ambiguous'],
  ['a key in a query', () => ({ path: `/any/x?x-api-key=${key}` }), 'credential-missing'],
  [
    'a password where only keys are taken',
    () => ({ path: '/keys/x', headers: basic('mainframe', password) }),
    'credential-missing',
  ],
  [
    'a token where only keys are taken',
    () => ({ path: '/keys/x', headers: { authorization: `Bearer ${rig.token()}` } }),
    'credential-missing',
  ],
  [
    'a key where only tokens are taken',
    () => ({ path: '/tokens/x', headers: { 'x-api-key': key } }),
    'token-missing',
  ],
] as const satisfies readonly (readonly [string, () => Sent, string])[])
  test(`who shows ${what} is refused: ${tag}`, async () => {
    const before = seen.length
    const { outcome, headers } = await ask(sent())
    assert.equal(outcome, tag)
    assert.equal(seen.length, before)
    if (tag === 'credential-missing' || tag === 'credential-refused')
      assert.ok(headers['www-authenticate'], 'it is told what would be taken')
  })

test('a token is taken beside other credentials where the route names issuers', async () => {
  const { outcome, text } = await ask({ headers: { authorization: `Bearer ${rig.token()}` } })
  assert.equal(outcome, 200)
  assert.equal((JSON.parse(text) as Seen).sub, 'spiffe://mesh.test/people/alice')
})

test('a signed body may come in chunks', async () => {
  const { outcome, text } = await ask(chunked(signed({ body: 'an order' })))
  assert.equal(outcome, 200, text)
  assert.equal((JSON.parse(text) as { bytes: number }).bytes, 8)
})

test('a signed request is good once', async () => {
  const sent = signed({ body: 'pay' })
  assert.equal((await ask(sent)).outcome, 200)
  assert.equal((await ask(sent)).outcome, 'token-replayed')
})

test('too many wrong passwords shut even the right one out', async () => {
  // One question for these: with more the next ones would be shut out already.
  for (let i = 0; i < 3; i++)
    assert.equal(
      (await ask({ headers: basic('mainframe', 'wrong') })).outcome,
      'credential-refused',
    )
  for (const wrong of ['wrong 2', 'wrong 3', 'wrong 4'])
    await ask({ headers: basic('mainframe', wrong) })
  const { outcome, headers } = await ask({
    path: '/closed/x',
    headers: basic('mainframe', 'wrong 5'),
  })
  assert.equal(outcome, 'rate-exceeded')
  assert.ok(Number(headers['retry-after']) > 0)
})

test('a quarantine by its SPIFFE ID cuts a legacy caller off, remembered or not', async () => {
  const url = `http://127.0.0.1:${gateway.admin.port}/quarantine`
  const send = (method: string, at: string, body: object) =>
    fetch(at, {
      method,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  const by = { kind: 'spiffe-id', spiffeId: idOf('printer') }
  const answer = await send('POST', url, { by, reason: 'key lost', actor: 'tester' })
  assert.equal(answer.status, 201)
  assert.equal((await ask(good.printer())).outcome, 'quarantined')
  assert.equal((await ask(good.robot())).outcome, 200)
  const { entry } = (await answer.json()) as { entry: { id: string } }
  await send('DELETE', `${url}/${entry.id}`, { reason: 'found', actor: 'tester' })
  await eventually(async () => (await ask(good.printer())).outcome === 200 || undefined)
})

test('while the exchange is away those who are remembered are let in, and nobody else', async () => {
  assert.equal((await ask(good.printer())).outcome, 200)
  await exchange.close()
  assert.equal((await ask(good.printer())).outcome, 200)
  assert.equal((await ask(good.robot())).outcome, 200)
  const stranger = await ask({ headers: { 'x-api-key': 'never seen before' } })
  assert.equal(stranger.outcome, 'identity-unavailable')
  assert.equal((await ask(signed())).outcome, 'identity-unavailable')
})

test('an exchange that does not take a credential from gateways mints nothing for it', async () => {
  const strict = await exchangeWith({ atGateways: [] }, exchange.exchange.port)
  await eventually(async () => (await ask(signed())).outcome === 'identity-unmapped' || undefined)
  await strict.close()
})

test('no credential is in any record or log', async () => {
  await gateway.close()
  const written =
    readFileSync(rig.at('gateway.audit.jsonl'), 'utf8') +
    readFileSync(rig.at('exchange-audit.jsonl'), 'utf8') +
    JSON.stringify(gateway.logged)
  const secrets = [
    key,
    password,
    shared,
    basic('mainframe', password).authorization.slice(6),
    'eyJ',
  ]
  for (const secret of secrets) assert.ok(!written.includes(secret), 'a secret in a record')
  assert.ok(written.length > 10_000)
})
