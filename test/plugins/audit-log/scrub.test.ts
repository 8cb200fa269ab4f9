import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { suite, test } from 'node:test'
import { SignJWT } from 'jose'
import { scrub, scrubPath } from '#plugins/audit-log/scrub'

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const jwt = await new SignJWT({ email: 'ann@example.com' })
  .setProtectedHeader({ alg: 'ES256', kid: 'key-1' })
  .sign(privateKey)
const [header = '', payload = '', signature = ''] = jwt.split('.')
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const opaque = 'GdEvGtpGs9Y8.not-a-jwt_0x1'

suite('scrubbing', () => {
  for (const [what, text, secrets] of [
    ['a token', `cannot read ${jwt} here`, [header, payload, signature]],
    ['a token in quotes', JSON.stringify({ assertion: jwt }), [header, payload, signature]],
    ['a token after an equals sign', `?assertion=${jwt}&x=1`, [payload, signature]],
    ['a token without its signature', `${header}.${payload}.`, [header, payload]],
    ['the beginning of a token', `got ${jwt.slice(0, 60)}`, [jwt.slice(3, 60)]],
    ['an encrypted token', `x ${header}..abc.def.ghi y`, [header, 'abc.def']],
    [
      'a token that begins otherwise',
      `x ${'A'.repeat(20)}.${payload}.${signature}`,
      [payload, signature],
    ],
    ['a bearer token', `sent Bearer ${opaque}`, [opaque]],
    ['another scheme', `sent DPoP ${opaque} and basic dXNlcjpwYXNz`, [opaque, 'dXNlcjpwYXNz']],
    ['a header', `Authorization: Custom ${opaque}`, [opaque]],
    ['a header in JSON', `{"authorization":"Custom ${opaque}"}`, [opaque]],
    ['a cookie', `Cookie: session=${opaque}\r\nhost: a`, [opaque]],
    [
      'a form',
      `grant_type=x&subject_token=${opaque}&client_secret=hunter2&a=b`,
      [opaque, 'hunter2'],
    ],
    ['a URL', 'redis://gate:hunter2@127.0.0.1:6379 is away', ['hunter2']],
    ['a key', `cannot read ${pem} here`, [pem.split('\n')[1] ?? 'x']],
    ['the beginning of a key', pem.slice(0, 90), [pem.slice(40, 60)]],
  ] as const)
    test(`leaves nothing of ${what}`, () => {
      assert.ok(secrets.length > 0)
      for (const secret of secrets) {
        assert.ok(text.includes(secret), 'the secret was not in the text')
        assert.ok(!scrub(text).includes(secret), scrub(text))
      }
      assert.match(scrub(text), /\[scrubbed\]/)
    })

  for (const text of [
    '',
    'connect ECONNREFUSED 10.20.0.11:8443',
    'the key "key-1" of issuer staff is not known',
    'spiffe://mesh.example/ns/shop/sa/orders answered as spiffe://mesh.example/ns/shop/sa/other',
    'rule 942100 matched at ARGS:name',
    'eyes on the prize, keyed by hand',
    'orders.shop.svc.cluster.local:8443',
    '{"allow":false,"reasons":[{"code":"role-missing","class":"role","message":"viewer"}]}',
  ])
    test(`leaves ${JSON.stringify(text)} as it is`, () => assert.equal(scrub(text), text))

  test('bounds the text', () => {
    assert.equal(scrub('x'.repeat(1000)).length, 1000)
    assert.equal(scrub('x '.repeat(1_000_000)).length, 1001)
  })

  test('is quick whatever the text', () => {
    for (const part of [
      'a',
      'eyJ',
      'a.',
      `${'a'.repeat(16)}.`,
      'Bearer ',
      'token=',
      '://',
      '-----BEGIN ',
      '"',
      'cookie: "',
    ]) {
      const text = part.repeat(Math.ceil(100_000 / part.length))
      const began = process.threadCpuUsage()
      for (let i = 0; i < 20; i++) scrub(text)
      const each = process.threadCpuUsage(began).user / 1000 / 20
      assert.ok(each < 50, `${JSON.stringify(part)}: ${each} ms`)
    }
  })
})

suite('scrubbing a path', () => {
  test('takes tokens and leaves paths', () => {
    assert.equal(scrubPath(`/reset/${jwt}/now`), '/reset/[scrubbed]/now')
    for (const path of [
      '/',
      '/tenants/acme/orders/17',
      '/a/very-long-name-of-a-resource.with.dots/x',
      '/keys/eyes',
    ])
      assert.equal(scrubPath(path), path)
  })
})
