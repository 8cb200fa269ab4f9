import assert from 'node:assert/strict'
import { createHmac, createPublicKey } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, suite, test } from 'node:test'
import { systemClock, systemRandomBytes } from '#contract/clock'
import { noLog, noMeter } from '#contract/telemetry'
import { trustedIssuers } from '#identity/jwt/issuers'
import { tokenVerifier } from '#identity/jwt/verify'
import { audience, issuerUrl } from '#test/fakes/issuer-config'
import {
  encoded,
  newSigningKey,
  signRaw,
  signToken,
  type SigningKey,
} from '#test/fakes/token-maker'
import { claims, now, nowMs, outcomeOf, verifierFor } from './verifier.ts'

const key = newSigningKey('k1')
const rsaKey = newSigningKey('rsa', 'RS256')
const { outcome, verify } = await verifierFor([key, rsaKey])
const header = (changed: object = {}) => ({ alg: 'ES256', kid: 'k1', typ: 'JWT', ...changed })

/** Counts what is fetched from the address that attackers name. */
let fetches = 0
const trap = createServer((_request, response) => {
  fetches++
  response.end(JSON.stringify({ keys: [key.jwk] }))
})
await new Promise<void>((resolve) => trap.listen(0, '127.0.0.1', () => resolve()))
const trapUrl = `http://127.0.0.1:${(trap.address() as AddressInfo).port}/keys`
after(() => trap.close())

test('the token that all attacks here begin with is admitted', async () => {
  assert.equal(await outcome(signRaw(key, header(), claims())), 'admitted')
})

suite('no algorithm (CVE-2015-9235, CVE-2015-2951, CVE-2022-23540)', () => {
  for (const alg of ['none', 'None', 'nOnE', '', undefined, ['ES256'], 'es256', 'ES256K', null])
    test(`alg ${JSON.stringify(alg)} is refused, with and without a signature`, async () => {
      const signed = signRaw(key, header({ alg }), claims())
      assert.equal(await outcome(signed), 'token-algorithm-refused')
      const bare = signed.slice(0, signed.lastIndexOf('.') + 1)
      assert.equal(await outcome(bare), 'token-malformed')
      assert.equal(await outcome(`${bare}AA`), 'token-algorithm-refused')
    })
})

suite(
  'a public key as the secret of an HMAC (CVE-2016-10555, CVE-2016-5431, CVE-2023-48223, CVE-2026-34950, GHSA-g3jj-5cmm-3hxx)',
  () => {
    const pem = createPublicKey(rsaKey.privateKey)
      .export({ type: 'spki', format: 'pem' })
      .toString()
    for (const [what, secret] of [
      ['its PEM', pem],
      ['its PEM after white space', `\n${pem}`],
      ['its JWK', JSON.stringify(rsaKey.jwk)],
      ['its SSH form (CVE-2022-29217, CVE-2024-33663)', sshFormOf(rsaKey)],
      ['nothing (CVE-2019-20933)', ''],
    ] as const)
      test(`HS256 with ${what} is refused`, async () => {
        const input = `${encoded(header({ alg: 'HS256', kid: 'rsa' }))}.${encoded(claims())}`
        const mac = createHmac('sha256', secret).update(input).digest('base64url')
        assert.equal(await outcome(`${input}.${mac}`), 'token-algorithm-refused')
      })

    test('a key of one type does not verify for another', async () => {
      const asRsa = signRaw(key, header({ alg: 'RS256', kid: 'k1' }), claims())
      assert.equal(await outcome(asRsa), 'token-algorithm-refused')
      const asPss = signRaw(rsaKey, header({ alg: 'PS256', kid: 'rsa' }), claims())
      assert.equal(await outcome(asPss), 'token-algorithm-refused')
    })
  },
)

/** `ssh-rsa` and the key as RFC 4253 §6.6 writes it. */
function sshFormOf({ jwk }: SigningKey): string {
  const part = (bytes: Buffer) => Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), bytes])
  const [e, n] = [String(jwk['e']), String(jwk['n'])].map((text) => Buffer.from(text, 'base64url'))
  const parts = [
    Buffer.from('ssh-rsa'),
    e ?? Buffer.alloc(0),
    n?.subarray(0, 200) ?? Buffer.alloc(0),
  ]
  return `ssh-rsa ${Buffer.concat(parts.map(part)).toString('base64')}`
}

suite(
  'a key of another type, or none at all, as a secret (CVE-2026-22817, CVE-2026-22818, CVE-2026-44699, CVE-2026-44351, CVE-2026-107720, CVE-2020-28637)',
  () => {
    const secrets = ['', '\0', 'undefined', 'null', '[object Object]', String(rsaKey.jwk['n'])]
    for (const alg of ['HS256', 'HS384', 'HS512'])
      test(`${alg} is no algorithm, whichever key is named and whatever the secret`, async () => {
        for (const kid of ['rsa', 'k1', 'unknown'])
          for (const secret of secrets) {
            const input = `${encoded(header({ alg, kid }))}.${encoded(claims())}`
            const digest = `sha${alg.slice(2)}`
            const mac = createHmac(digest, secret).update(input).digest('base64url')
            assert.equal(await outcome(`${input}.${mac}`), 'token-algorithm-refused')
          }
      })

    test('a set with a symmetric key in it is no key set, with or without a value', async () => {
      for (const oct of [
        { kty: 'oct', kid: 'o', k: '' },
        { kty: 'oct', kid: 'o', k: 'c2VjcmV0' },
      ])
        await assert.rejects(
          verifierFor([{ ...key, jwk: oct }, key]),
          /secret key material|no usable key/,
        )
    })
  },
)

suite(
  'signatures that are none (CVE-2020-28042, CVE-2022-21449, CVE-2021-43572, CVE-2022-24884)',
  () => {
    const input = `${encoded(header())}.${encoded(claims())}`
    const order = 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'
    for (const [what, bytes] of [
      ['r = s = 0', Buffer.alloc(64)],
      ['r = s = the order of the curve', Buffer.from(order + order, 'hex')],
      ['r = s = all ones', Buffer.alloc(64, 0xff)],
      ['63 bytes', Buffer.alloc(63, 1)],
      ['128 bytes', Buffer.alloc(128, 1)],
      ['an empty DER sequence', Buffer.from('3000', 'hex')],
    ] as const)
      test(`${what} is refused`, async () => {
        const token = `${input}.${bytes.toString('base64url')}`
        assert.equal(await outcome(token), 'token-signature-invalid')
      })

    test('a refusal tells nothing of the signature that would fit (CVE-2019-7644, GHSA-869p-cjfg-cm3x)', async () => {
      const right = signRaw(key, header(), claims()).split('.')[2] ?? ''
      for (const signature of [
        'AA',
        Buffer.alloc(64, 7).toString('base64url'),
        `${right.slice(0, -4)}AAAA`,
      ]) {
        const refused = await verify(`${input}.${signature}`, new Set(['idp']), nowMs)
        assert.ok(!refused.ok)
        const told = JSON.stringify(refused.problem)
        assert.ok(!told.includes(signature) && !told.includes(right.slice(0, 12)), told)
        assert.ok(!told.includes(Buffer.from(right, 'base64url').toString('hex').slice(0, 12)))
      }
    })

    test('an empty signature is refused', async () => {
      assert.equal(await outcome(`${input}.`), 'token-malformed')
    })
  },
)

suite(
  'a key in the token, or the address of one (CVE-2018-0114, CVE-2026-48522, SPIRE 1.14.2)',
  () => {
    const attacker = newSigningKey('k1')
    for (const [member, value] of [
      ['jwk', attacker.jwk],
      ['jku', trapUrl],
      ['jku', 'file:///etc/passwd'],
      ['jku', 'http://169.254.169.254/latest/meta-data'],
      ['x5u', trapUrl],
      ['x5c', ['MIIB']],
    ] as const)
      test(`${member} ${JSON.stringify(value).slice(0, 40)} is refused, and nothing is fetched`, async () => {
        for (const signer of [attacker, key])
          assert.equal(
            await outcome(signRaw(signer, header({ [member]: value }), claims())),
            'token-malformed',
          )
        assert.equal(fetches, 0)
      })
  },
)

suite(
  'header members that change how a token is read (CVE-2026-32597, CVE-2025-59420, GHSA-hm7r-c7qw-ghp6)',
  () => {
    for (const changed of [
      { crit: [] },
      { crit: ['exp'] },
      { crit: ['b64'], b64: false },
      { b64: false },
      { zip: 'DEF' },
      { enc: 'A128GCM' },
    ])
      test(`${JSON.stringify(changed)} is refused`, async () => {
        assert.equal(await outcome(signRaw(key, header(changed), claims())), 'token-malformed')
      })
  },
)

suite(
  'other serialisations and spellings (GHSA-jc38-x7x8-2xc8, GHSA-5739-39v2-5754, CVE-2022-39227)',
  () => {
    const token = signRaw(key, header(), claims())
    const [first = '', second = '', third = ''] = token.split('.')
    for (const [what, text] of [
      ['flattened JSON', JSON.stringify({ protected: first, payload: second, signature: third })],
      ['two parts', `${first}.${second}`],
      ['four parts', `${token}.${third}`],
      ['a JWE of five parts', `${first}.${second}.${third}.${first}.${second}`],
      ['padding', `${first}.${second}.${third}==`],
      ['a space', `${first}.${second} .${third}`],
      ['a line break at the end', `${token}\n`],
      ['characters of plain base64', `${first}.${second}.${third.slice(0, -1)}+`],
      ['non-canonical last bits', `${first}.${second}.${otherSpelling(third)}`],
      ['nothing', ''],
      ['a million dots', '.'.repeat(1_000_000)],
      ['a megabyte', `${first}.${'A'.repeat(1_000_000)}.${third}`],
      ['a header of 8 KiB', `${'A'.repeat(8196)}.${second}.${third}`],
    ] as const)
      test(`${what} is refused`, async () => {
        assert.equal(await outcome(text), 'token-malformed')
      })
  },
)

/** The last character of 86 has four bits that decoders ignore. */
function otherSpelling(signature: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = alphabet.indexOf(signature.at(-1) ?? '')
  return signature.slice(0, -1) + alphabet.charAt(last + 1)
}

suite('payloads and headers that two parsers read differently (CVE-2026-107723)', () => {
  const good = JSON.stringify(claims())
  const inside = good.slice(1)
  const deep = `{"a":${'['.repeat(16)}${']'.repeat(16)},${inside}`
  for (const [what, payload] of [
    ['an array', `[${good}]`],
    ['a string', JSON.stringify(good)],
    ['nothing but text', 'foo'],
    ['sub twice', `{"sub":"admin",${inside}`],
    ['sub twice, once escaped', `{"s\\u0075b":"admin",${inside}`],
    ['a member twice further in', `{"a":[{"b":1,"b":2}],${inside}`],
    ['__proto__', `{"__proto__":{"admin":true},${inside}`],
    ['__proto__, escaped', `{"__proto\\u005f_":{},${inside}`],
    ['a byte order mark', `\ufeff${good}`],
    ['a lone surrogate', `{"a":"\\ud800",${inside}`],
    ['17 levels', deep],
    ['a number that is too large', `{"a":1e999,${inside}`],
  ] as const)
    test(`a payload with ${what} is refused`, async () => {
      assert.equal(await outcome(signRaw(key, header(), payload)), 'token-malformed')
    })

  test('an end at 1e999, which jose takes for never, is refused', async () => {
    const payload = JSON.stringify(claims({ exp: 0 })).replace('"exp":0', '"exp":1e999')
    assert.equal(await outcome(signRaw(key, header(), payload)), 'token-malformed')
  })

  test('a payload that is not UTF-8 is refused', async () => {
    const bytes = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff]), Buffer.from('"}')])
    const [first] = signRaw(key, header(), claims()).split('.')
    assert.equal(await outcome(`${first}.${bytes.toString('base64url')}.AA`), 'token-malformed')
  })

  test('a header with alg twice is refused', async () => {
    const twice = '{"alg":"none","alg":"ES256","kid":"k1"}'
    assert.equal(await outcome(signRaw(key, twice, claims())), 'token-malformed')
  })
})

suite('iss (CVE-2025-30144, CVE-2024-53861)', () => {
  for (const iss of [
    [issuerUrl],
    undefined,
    null,
    '',
    issuerUrl.slice(0, -1),
    'idp.example.com',
    `${issuerUrl}.evil.test`,
    `${issuerUrl}/`,
    `${issuerUrl}%2f`,
    `${issuerUrl}\u0000`,
    issuerUrl.toUpperCase(),
    'https://idp.ex\u0430mple.com',
    'https://idp.examp\u006ce\u0301.com',
    '__proto__',
    'constructor',
  ])
    test(`${JSON.stringify(iss)} is refused`, async () => {
      assert.equal(await outcome(signToken(key, claims({ iss }))), 'token-issuer-unknown')
    })

  test('a token of one issuer, signed with the key of another, is refused (NodeDB-Lab/nodedb#61)', async () => {
    const other = newSigningKey('k1')
    const both = await twoIssuers(key, other)
    const accepted = new Set(['one', 'two'])
    const verdict = async (token: string, names = accepted) =>
      outcomeOf(await both(token, names, nowMs))
    assert.equal(await verdict(signToken(key, claims())), 'admitted')
    assert.equal(await verdict(signToken(other, claims())), 'token-signature-invalid')
    const two = claims({ iss: 'https://two.example.com' })
    assert.equal(await verdict(signToken(other, two)), 'admitted')
    assert.equal(await verdict(signToken(key, two)), 'token-signature-invalid')
    // Trusted, but not on this route.
    assert.equal(await verdict(signToken(other, two), new Set(['one'])), 'token-issuer-unknown')
  })
})

const twoIssuers = async (one: SigningKey, two: SigningKey) => {
  const first = await verifierFor([one])
  const second = await verifierFor([two], { issuer: 'https://two.example.com' })
  const options = [...first.issuers.byIss.values(), ...second.issuers.byIss.values()]
  const issuers = trustedIssuers({
    issuers: Object.fromEntries(
      options.map((issuer, at) => [at === 0 ? 'one' : 'two', issuer.options]),
    ),
    clock: systemClock,
    randomBytes: systemRandomBytes,
    uptimeMs: () => performance.now(),
    meter: noMeter,
    log: noLog,
  })
  after(issuers.close)
  await issuers.start()
  return tokenVerifier({ issuers: issuers.byIss, maxTokens: 100, meter: noMeter })
}

suite('aud (CVE-2026-115413)', () => {
  for (const [aud, expected] of [
    [undefined, 'token-claim-missing'],
    [[], 'token-claim-invalid'],
    [{ [audience]: true }, 'token-claim-invalid'],
    [7, 'token-claim-invalid'],
    [[audience, 7], 'token-claim-invalid'],
    [null, 'token-claim-invalid'],
    ['', 'token-audience-wrong'],
    [audience.slice(0, -1), 'token-audience-wrong'],
    [`${audience}/`, 'token-audience-wrong'],
    [audience.toUpperCase(), 'token-audience-wrong'],
    [['other', audience], 'admitted'],
  ] as const)
    test(`${JSON.stringify(aud)} is ${expected}`, async () => {
      assert.equal(await outcome(signToken(key, claims({ aud }))), expected)
    })
})

suite(
  'exhaustion (CVE-2025-27144, CVE-2025-30204, CVE-2022-36083, CVE-2024-28176, GHSA-2c7c-3mj9-8fqh, GHSA-6294-6rgp-fr7r)',
  () => {
    const part = encoded('x'.repeat(64))
    for (const [what, text] of [
      ['a million dots', '.'.repeat(1_000_000)],
      ['ten thousand parts', `${part}.`.repeat(10_000)],
      [
        'a JWE whose key takes a billion rounds to derive',
        `${encoded({ alg: 'PBES2-HS256+A128KW', enc: 'A128GCM', p2c: 1_000_000_000, p2s: 'AA' })}.${part}.${part}.${part}.${part}`,
      ],
      [
        'a JWE that unpacks to more',
        `${encoded({ alg: 'dir', enc: 'A128GCM', zip: 'DEF' })}..${part}.${part}.${part}`,
      ],
    ] as const)
      test(`${what} costs one look`, async () => {
        const beganMs = process.cpuUsage().user / 1000
        for (let i = 0; i < 20; i++) assert.equal(await outcome(text), 'token-malformed')
        assert.ok(process.cpuUsage().user / 1000 - beganMs < 2000)
      })

    test('neither does a JWS that asks for as much by its header', async () => {
      for (const more of [{ p2c: 1_000_000_000 }, { alg: 'PBES2-HS256+A128KW', p2c: 2 ** 31 }])
        assert.notEqual(await outcome(signRaw(key, header(more), claims({ exp: 0 }))), 'admitted')
    })
  },
)

suite('other claims of the wrong type', () => {
  for (const changed of [
    { sub: 7 },
    { sub: ['alice'] },
    { sub: '' },
    { jti: {} },
    { client_id: 1 },
    { azp: ['a'] },
    { scope: ['a'] },
  ])
    test(`${JSON.stringify(changed)} is refused`, async () => {
      assert.equal(await outcome(signToken(key, claims(changed))), 'token-claim-invalid')
    })
})

suite('kid', () => {
  for (const [kid, expected] of [
    ['../../dev/null', 'token-key-unknown'],
    ["' OR 1=1 --", 'token-key-unknown'],
    ['__proto__', 'token-key-unknown'],
    ['k'.repeat(6000), 'token-malformed'],
    ['k1\u0000', 'token-malformed'],
    ['', 'token-malformed'],
    [1, 'token-malformed'],
    [undefined, 'token-malformed'],
  ] as const)
    test(`${JSON.stringify(kid)?.slice(0, 30)} is ${expected}`, async () => {
      assert.equal(await outcome(signRaw(key, header({ kid }), claims())), expected)
    })
})

suite('one kind of token for another (CVE-2023-51774)', () => {
  for (const [typ, expected] of [
    ['JWT', 'admitted'],
    ['at+jwt', 'admitted'],
    ['AT+JWT', 'token-type-refused'],
    ['application/at+jwt', 'token-type-refused'],
    ['txntoken+jwt', 'token-type-refused'],
    ['dpop+jwt', 'token-type-refused'],
    ['none', 'token-type-refused'],
    [undefined, 'token-type-refused'],
    [7, 'token-malformed'],
  ] as const)
    test(`typ ${JSON.stringify(typ)} is ${expected}`, async () => {
      assert.equal(await outcome(signRaw(key, header({ typ }), claims())), expected)
    })

  test('a token without typ is admitted where the configuration says none', async () => {
    const untyped = await verifierFor([key], { types: ['none'] })
    const bare = { alg: 'ES256', kid: 'k1' }
    assert.equal(await untyped.outcome(signRaw(key, bare, claims())), 'admitted')
    const spelt = { ...bare, typ: 'none' }
    assert.equal(await untyped.outcome(signRaw(key, spelt, claims())), 'token-type-refused')
  })
})

test('what a token is bound to must be understood; that its bearer holds it others check', async () => {
  const sha = 'A'.repeat(43)
  const both = { jkt: sha, 'x5t#S256': sha }
  for (const cnf of [
    { jkt: 'x' },
    { 'x5t#S256': 'x' },
    {},
    both,
    { jwk: {} },
    { jkt: 1 },
    'x',
    null,
  ])
    assert.equal(await outcome(signToken(key, claims({ cnf }))), 'token-claim-invalid')
  for (const cnf of [{ jkt: sha }, { 'x5t#S256': sha }])
    assert.equal(await outcome(signToken(key, claims({ cnf }))), 'admitted')
})

test('the second valid signature of one ES256 token is verified anew, and has the same fingerprint', async () => {
  const order = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')
  const token = signToken(key, claims({ jti: 'twice', exp: now + 100 }))
  const [head, payload, signature = ''] = token.split('.')
  const bytes = Buffer.from(signature, 'base64url')
  const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`)
  const other = Buffer.concat([
    bytes.subarray(0, 32),
    Buffer.from(s.toString(16).padStart(64, '0'), 'hex'),
  ])
  const accepted = new Set(['idp'])
  const first = await verify(token, accepted, nowMs)
  const second = await verify(`${head}.${payload}.${other.toString('base64url')}`, accepted, nowMs)
  assert.ok(first.ok && second.ok)
  assert.notEqual(second.value, first.value, 'the cache took one spelling for another')
  assert.equal(second.value.fingerprint, first.value.fingerprint)
})
