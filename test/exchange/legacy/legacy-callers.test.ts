import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  createHash,
  createHmac,
  createPrivateKey,
  generateKeyPairSync,
  randomUUID,
  sign,
  X509Certificate,
} from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { decodeJwt, exportJWK } from 'jose'
import { tokenTypes } from '#contract/token-exchange'
import { makeCertificate, rootExtensions, type MadeCertificate } from '#test/fakes/openssl'
import { basic } from '../clients/exchange-with-clients.ts'
import { gateway, orders } from '../fixtures.ts'
import {
  askForSvid,
  newRequest,
  startTestExchange,
  svidIn,
  type ClientCertificate,
  type TestExchange,
} from '../running-exchange.ts'

const folder = mkdtempSync(join(tmpdir(), 'sallyport-legacy-'))
after(() => rmSync(folder, { recursive: true }))
const at = (name: string) => join(folder, name)
const put = (name: string, content: string | Buffer) => {
  writeFileSync(at(name), content)
  return at(name)
}

const apiKey = 'key-of-a-printer-that-is-long-and-random-9f8e7d6c'
const password = 'hunter2'
const secret = 'a secret that two sides share, of enough bytes'
const signer = generateKeyPairSync('ed25519')
const ca = makeCertificate({ subject: '/CN=plant', extensions: rootExtensions() })
const otherCa = makeCertificate({ subject: '/CN=plant', extensions: rootExtensions() })
const leafOf = (
  issuer: MadeCertificate,
  name: string,
  usage = 'clientAuth',
  more: Partial<Parameters<typeof makeCertificate>[0]> = {},
) =>
  makeCertificate({
    issuer,
    subject: '/CN=robot',
    extensions: [`extendedKeyUsage = ${usage}`, `subjectAltName = DNS:${name}`],
    ...more,
  })
const robot = leafOf(ca, 'robot.plant.example')
const revokedRobot = leafOf(ca, 'robot.plant.example')

/** A list of revocations, by openssl. */
const crl = (issuer: MadeCertificate, revoked: readonly MadeCertificate[], days = 1): string => {
  const config = put(
    'ca.conf',
    `[ca]\ndefault_ca=own\n[own]\ndatabase=${at('index.txt')}\ncrlnumber=${at('crlnumber')}\ndefault_md=sha256\n`,
  )
  put('index.txt', '')
  put('index.txt.attr', 'unique_subject = no\n')
  put('crlnumber', '01\n')
  put('ca.pem', issuer.pem)
  put('ca.key', issuer.keyPem)
  const ca = ['-config', config, '-cert', at('ca.pem'), '-keyfile', at('ca.key')]
  for (const { pem } of revoked)
    execFileSync('openssl', ['ca', ...ca, '-revoke', put('one.pem', pem)], { stdio: 'pipe' })
  const ends =
    days > 0
      ? ['-crldays', String(days)]
      : ['-crl_lastupdate', '20200101000000Z', '-crl_nextupdate', '20200102000000Z']
  return execFileSync('openssl', ['ca', ...ca, '-gencrl', ...ends], {
    encoding: 'utf8',
    stdio: 'pipe',
  })
}

const callers = async () => ({
  printer: {
    spiffeId: 'spiffe://mesh.example/legacy/printer',
    credential: {
      method: 'api_key',
      keyHashes: [`sha256:${createHash('sha256').update(apiKey).digest('hex')}`],
    },
  },
  mainframe: {
    spiffeId: 'spiffe://mesh.example/legacy/mainframe',
    credential: {
      method: 'basic',
      passwordHashes: [`sha256:${createHash('sha256').update(password).digest('hex')}`],
    },
  },
  batch: {
    spiffeId: 'spiffe://mesh.example/legacy/batch',
    credential: { method: 'signed_request', secret: { file: put('secret', secret) } },
  },
  partner: {
    spiffeId: 'spiffe://mesh.example/legacy/partner',
    credential: {
      method: 'signed_request',
      jwksFile: put(
        'jwks.json',
        JSON.stringify({
          keys: [{ ...(await exportJWK(signer.publicKey)), kid: 'p', alg: 'EdDSA' }],
        }),
      ),
    },
  },
  robot: {
    spiffeId: 'spiffe://mesh.example/legacy/robot',
    credential: {
      method: 'client_certificate',
      caFile: put('plant.pem', ca.pem),
      dnsNames: ['robot.plant.example'],
      crlFile: put('plant.crl', crl(ca, [revokedRobot])),
    },
  },
})

let exchange: TestExchange
before(async () => {
  exchange = await startTestExchange({
    legacy: { callers: await callers(), failures: 1000 },
    grants: [
      {
        name: 'legacy',
        subjects: ['spiffe://mesh.example/legacy/*'],
        tokens: ['jwt-svid', 'access-token', 'x509-svid'],
        audiences: [orders, gateway],
        scopes: ['orders.read'],
      },
    ],
  })
})
after(() => exchange.stop())

const standard = { grant_type: 'client_credentials', audience: orders }
const ask = (
  form: Record<string, string>,
  headers: Record<string, string> = {},
  client?: ClientCertificate,
) =>
  exchange.ask({
    method: 'POST',
    path: '/token',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams(form).toString(),
    ...(client ? { client } : {}),
  })
const certificateOf = ({ pem, keyPem }: MadeCertificate): ClientCertificate => ({
  cert: pem,
  key: keyPem,
})

type Signing = {
  readonly keyid?: string
  readonly alg?: string
  readonly created?: number
  readonly expires?: number
  readonly nonce?: string
  readonly covered?: readonly string[]
  readonly authority?: string
  readonly path?: string
  readonly type?: string
  readonly body?: string | Buffer
  readonly sign?: (base: string) => Buffer
  readonly label?: string
}
const hmac = (base: string) => createHmac('sha256', secret).update(base).digest()
const formText = new URLSearchParams(standard).toString()

/** Headers of a signed request, as RFC 9421 §2.5 builds its base; written apart from the code that checks it. */
const signed = (signing: Signing = {}): Record<string, string> => {
  const { type = 'application/x-www-form-urlencoded' } = signing
  const digest = createHash('sha256')
    .update(signing.body ?? formText)
    .digest('base64')
  const fields: Record<string, string> = {
    '@method': 'POST',
    '@authority': signing.authority ?? 'exchange.example:8444',
    '@path': signing.path ?? '/token',
    'content-type': type,
    'content-digest': `sha-256=:${digest}:`,
    host: 'x',
  }
  const covered = signing.covered ?? [
    '@method',
    '@authority',
    '@path',
    'content-type',
    'content-digest',
  ]
  const { created = Math.floor(Date.now() / 1000), keyid = 'batch', nonce = randomUUID() } = signing
  const more = [
    `created=${created}`,
    ...(signing.expires === undefined ? [] : [`expires=${signing.expires}`]),
    ...(nonce === '' ? [] : [`nonce="${nonce}"`]),
    ...(keyid === '' ? [] : [`keyid="${keyid}"`]),
    ...(signing.alg === undefined ? [] : [`alg="${signing.alg}"`]),
  ].join(';')
  const params = `(${covered.map((name) => `"${name}"`).join(' ')});${more}`
  const base = [
    ...covered.map((name) => `"${name}": ${fields[name] ?? ''}`),
    `"@signature-params": ${params}`,
  ].join('\n')
  const signature = (signing.sign ?? hmac)(base).toString('base64')
  return {
    'content-digest': fields['content-digest'] ?? '',
    'signature-input': `sig=${params}`,
    signature: `${signing.label ?? 'sig'}=:${signature}:`,
  }
}

const ways: Readonly<Record<string, () => readonly [Record<string, string>, ClientCertificate?]>> =
  {
    'api_key printer': () => [{ 'x-api-key': apiKey }],
    'basic mainframe': () => [basic('mainframe', password)],
    'signed_request batch': () => [signed({ alg: 'hmac-sha256' })],
    'signed_request partner': () => [
      signed({
        keyid: 'partner',
        alg: 'ed25519',
        sign: (base) => sign(null, Buffer.from(base), signer.privateKey),
      }),
    ],
    'client_certificate robot': () => [{}, certificateOf(robot)],
  }

suite('a caller that knows nothing of tokens', () => {
  for (const [which, way] of Object.entries(ways)) {
    const [method = '', name = ''] = which.split(' ')
    test(`gets a marked, short-lived identity by ${method} as ${name}`, async () => {
      const [headers, client] = way()
      const answer = await ask(standard, headers, client)
      assert.equal(answer.status, 200, answer.body.toString())
      const { access_token, ...rest } = answer.json()
      assert.deepEqual(rest, {
        issued_token_type: tokenTypes.accessToken,
        token_type: 'Bearer',
        expires_in: 120,
      })
      const claims = decodeJwt(String(access_token))
      assert.equal(claims.sub, `spiffe://mesh.example/legacy/${name}`)
      assert.equal(claims['legacy'], method)
      assert.equal(claims['client_id'], name)
      const record = exchange.records.at(-1)
      assert.equal(record?.client, name)
      assert.equal(record.grant, 'legacy')
      assert.match(JSON.stringify(record), new RegExp(`by ${method}`))
    })
  }

  test('gets a JWT-SVID too, and its mark stays with what comes from it', async () => {
    const form = { ...standard, requested_token_type: tokenTypes.jwt, audience: gateway }
    const answer = await ask(form, { 'x-api-key': apiKey })
    assert.equal(answer.json()['token_type'], 'N_A', answer.body.toString())
    const client = await exchange.join()
    const child = await exchange.exchangeToken(
      { subject_token: String(answer.json()['access_token']) },
      client,
    )
    assert.equal(child.status, 200, child.body.toString())
    const claims = decodeJwt(String(child.json()['access_token']))
    assert.equal(claims['legacy'], 'api_key')
    assert.equal(claims.sub, 'spiffe://mesh.example/legacy/printer')
  })

  test('gets no more than a grant allows', async () => {
    const headers = { 'x-api-key': apiKey }
    for (const [form, error] of [
      [{ audience: 'spiffe://mesh.example/service/other' }, 'invalid_target'],
      [{ scope: 'admin' }, 'invalid_scope'],
      [{ requested_token_type: tokenTypes.txnToken }, 'invalid_request'],
      [{ subject_token: 'a.b.c' }, 'invalid_request'],
      [{ client_id: 'mainframe' }, 'invalid_client'],
    ] as const)
      assert.equal((await ask({ ...standard, ...form }, headers)).json()['error'], error)
    const scoped = await ask({ ...standard, scope: 'orders.read' }, headers)
    assert.equal(scoped.json()['scope'], 'orders.read')
  })

  test('is offered in the metadata', async () => {
    const metadata = (
      await exchange.ask({ path: '/.well-known/oauth-authorization-server' })
    ).json()
    assert.ok((metadata['grant_types_supported'] as string[]).includes('client_credentials'))
  })
})

const now = () => Math.floor(Date.now() / 1000)
const rows: Readonly<
  Record<string, () => readonly [Record<string, string>, (ClientCertificate | undefined)?, string?]>
> = {
  nothing: () => [{}],
  'a wrong API key': () => [{ 'x-api-key': `${apiKey}x` }],
  'an empty API key': () => [{ 'x-api-key': '' }],
  'the hash of an API key': () => [
    { 'x-api-key': createHash('sha256').update(apiKey).digest('hex') },
  ],
  'a wrong password': () => [basic('mainframe', 'hunter3')],
  'the password of another': () => [basic('printer', password)],
  'a name of Object': () => [basic('constructor', password)],
  'an API key and a password': () => [
    { 'x-api-key': apiKey, ...basic('mainframe', password) },
    undefined,
    'invalid_request',
  ],
  'a signature beside a password that it does not cover': () => [
    { ...signed(), ...basic('mainframe', password) },
    undefined,
    'invalid_request',
  ],
  'a signature by another key': () => [signed({ sign: () => Buffer.alloc(32) })],
  'an HMAC with the public key of another as its secret': () => [
    signed({
      keyid: 'partner',
      alg: 'hmac-sha256',
      sign: (base) =>
        createHmac('sha256', signer.publicKey.export({ type: 'spki', format: 'pem' }))
          .update(base)
          .digest(),
    }),
  ],
  'a signature for another method of signing': () => [signed({ alg: 'ed25519' })],
  'a signature for another server': () => [signed({ authority: 'other.example' })],
  'a signature for another path': () => [signed({ path: '/revoke' })],
  'a signature of another body': () => [signed({ body: 'grant_type=client_credentials' })],
  'a signature that is ten minutes old': () => [signed({ created: now() - 600 })],
  'a signature of the future': () => [signed({ created: now() + 600 })],
  'a signature that has ended': () => [signed({ expires: now() - 1 })],
  'a signature without a nonce': () => [signed({ nonce: '' })],
  'a signature without a keyid': () => [signed({ keyid: '' })],
  'a signature of nobody': () => [signed({ keyid: 'constructor' })],
  'a signature under another label': () => [signed({ label: 'other' })],
  ...Object.fromEntries(
    ['@method', '@authority', '@path', 'content-type', 'content-digest'].map((name) => [
      `a signature that does not cover ${name}`,
      () =>
        [
          signed({
            covered: ['@method', '@authority', '@path', 'content-type', 'content-digest'].filter(
              (one) => one !== name,
            ),
          }),
        ] as const,
    ]),
  ),
  'a signature that covers something twice': () => [
    signed({
      covered: ['@method', '@authority', '@path', 'content-type', 'content-digest', '@method'],
    }),
  ],
  'a signature that covers what is not there': () => [
    signed({
      covered: ['@method', '@authority', '@path', 'content-type', 'content-digest', 'x-none'],
    }),
  ],
  'two signatures': () => {
    const [one, other] = [signed(), signed()]
    return [
      {
        ...one,
        'signature-input': `${one['signature-input']}, ${other['signature-input']?.replace('sig', 'b')}`,
      },
    ]
  },
  'a field that means something and is not signed': () => [
    { ...signed(), 'x-request-id': 'abcdefgh' },
  ],
  'a certificate of another CA with the same name': () => [
    {},
    certificateOf(leafOf(otherCa, 'robot.plant.example')),
  ],
  'a certificate for another name': () => [{}, certificateOf(leafOf(ca, 'other.plant.example'))],
  'a certificate for any name': () => [{}, certificateOf(leafOf(ca, '*.plant.example'))],
  'a certificate whose common name alone fits (CVE-2021-44533)': () => [
    {},
    certificateOf(
      leafOf(ca, 'x', 'clientAuth', {
        subject: '/CN=robot.plant.example+CN=x',
        extensions: ['extendedKeyUsage = clientAuth'],
      }),
    ),
  ],
  'a certificate with the name as another kind of name (CVE-2021-44531)': () => [
    {},
    certificateOf(
      leafOf(ca, 'x', 'clientAuth', {
        extensions: [
          'extendedKeyUsage = clientAuth',
          'subjectAltName = URI:https://robot.plant.example/, email:me@robot.plant.example, RID:1.2.3',
        ],
      }),
    ),
  ],
  'a certificate with the name within another (CVE-2021-44532)': () => [
    {},
    certificateOf(
      leafOf(ca, 'x', 'clientAuth', {
        extensions: [
          'extendedKeyUsage = clientAuth',
          'subjectAltName = @names',
          '[names]',
          'URI.1 = https://x/\\, DNS:robot.plant.example',
        ],
      }),
    ),
  ],
  'a certificate for servers': () => [
    {},
    certificateOf(leafOf(ca, 'robot.plant.example', 'serverAuth')),
  ],
  'a certificate that was revoked': () => [{}, certificateOf(revokedRobot)],
  'the CA itself': () => [{}, certificateOf(ca)],
}

suite('nobody is a legacy caller by', () => {
  for (const [name, row] of Object.entries(rows))
    test(name, async () => {
      const [headers, client, error] = row()
      const answer = await ask(standard, headers, client)
      assert.equal(answer.json()['error'], error ?? 'invalid_client', answer.body.toString())
      assert.equal(answer.status, error === undefined ? 401 : 400)
      assert.ok(!JSON.stringify(exchange.records.at(-1)).includes(apiKey))
    })

  test('a signed request that was made before', async () => {
    const headers = signed()
    assert.equal((await ask(standard, headers)).status, 200)
    const again = await ask(standard, headers)
    assert.equal(again.status, 401)
    assert.equal(again.json()['problem'], 'token-replayed')
  })

  test('a certificate while what its CA has revoked is out of date, damaged or gone; then again', async () => {
    const outcome = async () => (await ask(standard, {}, certificateOf(robot))).status
    const good = crl(ca, [revokedRobot])
    for (const text of [crl(ca, [], 0), crl(otherCa, []), 'garbage', '']) {
      put('plant.crl', text)
      assert.equal(await outcome(), 401)
    }
    rmSync(at('plant.crl'))
    assert.equal(await outcome(), 401)
    put('plant.crl', good)
    assert.equal(await outcome(), 200)
    put('plant.crl', crl(ca, [robot]))
    assert.equal(await outcome(), 401, 'revoked since')
    put('plant.crl', good)
  })
})

test('a caller who fails too often is not looked at until the window ends; another is', async () => {
  const other = await startTestExchange({
    legacy: { callers: await callers(), failures: 3, windowSeconds: 60 },
    grants: [
      {
        name: 'legacy',
        subjects: ['spiffe://mesh.example/legacy/*'],
        audiences: [orders],
        tokens: ['access-token'],
      },
    ],
  })
  const attempt = (text: string) =>
    other.ask({
      method: 'POST',
      path: '/token',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        ...basic('mainframe', text),
      },
      body: formText,
    })
  for (let i = 0; i < 3; i++) assert.equal((await attempt('wrong')).status, 401)
  const shut = await attempt(password)
  assert.equal(shut.status, 429)
  assert.ok(Number(shut.headers['retry-after']) <= 60)
  const printer = await other.ask({
    method: 'POST',
    path: '/token',
    headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-api-key': apiKey },
    body: formText,
  })
  assert.equal(printer.status, 200)
  other.passTime(60_001)
  assert.equal((await attempt(password)).status, 200)
  await other.stop()
})

suite('a certificate for a key of their own', () => {
  const askForCertificate = (
    csr: string | Buffer,
    headers: Record<string, string>,
    client?: ClientCertificate,
  ) => askForSvid(exchange.ask, csr, headers, client)
  const signedFor = (body: string | Buffer, more: Signing = {}) =>
    signed({ path: '/svid/x509', type: 'application/pkcs10', body, ...more })

  for (const [who, show] of [
    ['printer', () => [{ 'x-api-key': apiKey }]],
    ['mainframe', () => [basic('mainframe', password)]],
    ['batch', (csr: string | Buffer) => [signedFor(csr)]],
    ['robot', () => [{}, certificateOf(robot)]],
  ] as const satisfies readonly (readonly [
    string,
    (csr: string | Buffer) => readonly [Record<string, string>, ClientCertificate?],
  ])[])
    test(`${who} gets one, marked and for ten minutes, and cannot renew it`, async () => {
      const { key, csr } = newRequest()
      const [headers, client] = show(csr)
      const answer = await askForCertificate(csr, headers, client)
      assert.equal(answer.status, 200, answer.body.toString())
      const { spiffe_id, x509_svid, expires_at } = svidIn(answer)
      assert.equal(spiffe_id, `spiffe://mesh.example/legacy/${who}`)
      const leaf = new X509Certificate(x509_svid)
      assert.equal(leaf.subjectAltName, `URI:${spiffe_id}`)
      assert.ok(leaf.checkPrivateKey(createPrivateKey(key)))
      const life = expires_at - Math.floor(Date.now() / 1000)
      assert.ok(life > 60 && life <= 600, `${life} s`)
      const renewal = await askForCertificate(newRequest().csr, {}, { cert: x509_svid, key })
      assert.equal(renewal.status, 403)
    })

  test('nobody gets one by what is nobody’s, or by a signature of another request', async () => {
    const { csr } = newRequest()
    const other = newRequest().csr
    for (const [headers, client] of [
      [{ 'x-api-key': 'wrong' }],
      [basic('mainframe', 'wrong')],
      [{}, certificateOf(leafOf(otherCa, 'robot.plant.example'))],
      [signedFor(other)],
      [signedFor(csr, { path: '/token' })],
      [signedFor(csr, { sign: () => Buffer.alloc(32) })],
    ] as const satisfies readonly (readonly [Record<string, string>, ClientCertificate?])[]) {
      const answer = await askForCertificate(csr, headers, client)
      assert.equal(answer.status, 401)
      assert.match(answer.body.toString(), /credential-refused/)
    }
    const twice = await askForCertificate(csr, {
      'x-api-key': apiKey,
      ...basic('mainframe', password),
    })
    assert.equal(twice.status, 400)
    const once = signedFor(csr)
    assert.equal((await askForCertificate(csr, once)).status, 200)
    assert.equal((await askForCertificate(csr, once)).status, 401)
  })
})

test('where no legacy caller is known, client_credentials is not a grant', async () => {
  const other = await startTestExchange({ selfService: { issuers: ['corp'] } })
  const answer = await other.ask({
    method: 'POST',
    path: '/token',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: formText,
  })
  assert.equal(answer.json()['error'], 'unsupported_grant_type')
  await other.stop()
})
