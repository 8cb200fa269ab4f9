import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock, systemRandomBytes } from '#contract/clock'
import { noLog, noMeter, type Meter } from '#contract/telemetry'
import type { Issuer } from '#config/schema'
import { trustedIssuers, type TrustedIssuersOptions } from '#identity/jwt/issuers'
import { tokenVerifier } from '#identity/jwt/verify'
import { makeWebCertificate, runHttp, runHttps } from '#test/fakes/https-server'
import { issuerConfig } from '#test/fakes/issuer-config'
import { newSigningKey, signToken, type SigningKey } from '#test/fakes/token-maker'
import { claims, nowMs, outcomeOf } from './verifier.ts'

const { ca, server: certificate } = makeWebCertificate()
const folder = mkdtempSync(join(tmpdir(), 'sallyport-issuers-'))
const caFile = join(folder, 'ca.pem')
writeFileSync(caFile, ca)
const otherCaFile = join(folder, 'other-ca.pem')
writeFileSync(otherCaFile, makeWebCertificate().ca)
after(() => rmSync(folder, { recursive: true }))

/** An issuer's key endpoint that a test can make do anything. */
const runKeyServer = async (...keys: readonly SigningKey[]) => {
  const state = {
    answer: (_request: IncomingMessage, response: ServerResponse): void => {
      response.end(JSON.stringify({ keys: state.keys.map(({ jwk }) => jwk) }))
    },
    keys,
    fetches: 0,
  }
  const server = await runHttps(certificate, (request, response) => {
    state.fetches++
    state.answer(request, response)
  })
  after(server.close)
  return Object.assign(state, { server, jwksUrl: `${server.url}/keys` })
}

const run = async (
  issuers: Record<string, Partial<Issuer>>,
  more: Partial<TrustedIssuersOptions> = {},
) => {
  let aheadMs = 0
  const trusted = trustedIssuers({
    issuers: Object.fromEntries(
      Object.entries(issuers).map(([name, changed]) => [
        name,
        issuerConfig({ caFile, ...changed }),
      ]),
    ),
    clock: systemClock,
    randomBytes: systemRandomBytes,
    uptimeMs: () => performance.now() + aheadMs,
    meter: noMeter,
    log: noLog,
    ...more,
  })
  after(trusted.close)
  const verify = tokenVerifier({ issuers: trusted.byIss, maxTokens: 10_000, meter: noMeter })
  const accepted = new Set(Object.keys(issuers))
  return {
    trusted,
    verify: (token: string) => verify(token, accepted, nowMs),
    outcome: async (token: string) => outcomeOf(await verify(token, accepted, nowMs)),
    passTime: (seconds: number) => {
      aheadMs += seconds * 1000
    },
  }
}

const until = async (what: string, isSo: () => boolean) => {
  for (let waited = 0; !isSo(); waited += 5) {
    assert.ok(waited < 30_000, `never happened: ${what}`)
    await sleep(5)
  }
}

const key = newSigningKey('k1')
const token = signToken(key, claims())

suite('where the keys of an issuer come from', () => {
  test('from a URL', async () => {
    const idp = await runKeyServer(key)
    const { trusted, outcome } = await run({ idp: { jwksUrl: idp.jwksUrl } })
    await trusted.start()
    assert.equal(await outcome(token), 'admitted')
    assert.deepEqual(trusted.status().get('idp')?.kids, ['k1'])
  })

  test('by discovery, also below a path and with a slash at the end', async () => {
    const idp = await runKeyServer(key)
    const paths: (string | undefined)[] = []
    for (const path of ['', '/realms/one', '/slash/']) {
      const issuer = `${idp.server.url}${path}`
      idp.answer = (request, response) => {
        paths.push(request.url)
        const isKeys = request.url === '/the-keys'
        response.end(
          JSON.stringify(
            isKeys ? { keys: [key.jwk] } : { issuer, jwks_uri: `${idp.server.url}/the-keys` },
          ),
        )
      }
      const { trusted, outcome } = await run({ idp: { issuer } })
      await trusted.start()
      assert.equal(await outcome(signToken(key, claims({ iss: issuer }))), 'admitted')
    }
    const wellKnown = '/.well-known/openid-configuration'
    assert.deepEqual(
      paths.filter((path) => path !== '/the-keys'),
      [wellKnown, `/realms/one${wellKnown}`, `/slash${wellKnown}`],
    )
  })

  for (const [what, document] of [
    ['of another issuer', { issuer: 'https://evil.example', jwks_uri: 'HERE' }],
    ['of an issuer with a slash more', { issuer: 'ISSUER/', jwks_uri: 'HERE' }],
    ['without the address of its keys', { issuer: 'ISSUER' }],
    ['with an address over plain HTTP', { issuer: 'ISSUER', jwks_uri: 'http://localhost/keys' }],
    [
      'with the address of cloud metadata',
      { issuer: 'ISSUER', jwks_uri: 'https://169.254.169.254/' },
    ],
  ] as const)
    test(`a discovery document ${what} is not used`, async () => {
      const idp = await runKeyServer(key)
      const issuer = idp.server.url
      idp.answer = (request, response) => {
        const text = JSON.stringify(request.url === '/keys' ? { keys: [key.jwk] } : document)
        response.end(text.replace('ISSUER', issuer).replace('HERE', idp.jwksUrl))
      }
      const { trusted, outcome } = await run({ idp: { issuer } })
      await trusted.start()
      assert.equal(await outcome(signToken(key, claims({ iss: issuer }))), 'issuer-unavailable')
    })

  test('not from a server that the CA does not vouch for, and not over plain HTTP', async () => {
    const idp = await runKeyServer(key)
    const plain = await runHttp((_request, response) =>
      response.end(JSON.stringify({ keys: [key.jwk] })),
    )
    after(plain.close)
    const { trusted, outcome } = await run({
      idp: { jwksUrl: idp.jwksUrl, caFile: otherCaFile },
      plain: { issuer: 'https://two.example', jwksUrl: plain.url },
    })
    await trusted.start()
    assert.equal(await outcome(token), 'issuer-unavailable')
    const two = signToken(key, claims({ iss: 'https://two.example' }))
    assert.equal(await outcome(two), 'issuer-unavailable')
    const unsafe = await run(
      { plain: { issuer: 'https://two.example', jwksUrl: plain.url } },
      { plainHttpIssuers: ['plain'] },
    )
    await unsafe.trusted.start()
    assert.equal(await unsafe.outcome(two), 'admitted')
  })

  test('faults of the configuration stop the start by name', async () => {
    const broken = join(folder, 'broken.json')
    writeFileSync(broken, '{"keys":[]}')
    const { trusted } = await run({ idp: { jwksFile: broken } })
    await assert.rejects(trusted.start(), /issuers\.idp\.jwksFile.*no usable key/)
    await assert.rejects(
      run({ idp: { caFile: join(folder, 'none') } }),
      /issuers\.idp\.caFile.*ENOENT/,
    )
    await assert.rejects(run({ idp: { caFile: broken } }), /issuers\.idp\.caFile .* no PEM/)
    await assert.rejects(
      run({ idp: { issuer: 'my-idp' } }),
      /issuers\.idp\.issuer is not an https URL/,
    )
    await assert.rejects(run({ one: {}, two: {} }), /issuers\.two\.issuer is that of issuers\.one/)
  })
})

suite('an issuer that changes its keys', () => {
  test('loses no valid request, though it signs with a key that it has just made', async () => {
    const idp = await runKeyServer(key)
    const { trusted, outcome } = await run({ idp: { jwksUrl: idp.jwksUrl } })
    await trusted.start()
    const outcomes: Record<string, number> = {}
    let signer = key
    for (let rotation = 0; rotation < 4; rotation++) {
      const batch = Array.from({ length: 50 }, (_, at) =>
        outcome(signToken(signer, claims({ jti: `${rotation}-${at}` }))),
      )
      for (const one of await Promise.all(batch)) outcomes[one] = (outcomes[one] ?? 0) + 1
      signer = newSigningKey(`rotated-${rotation}`)
      idp.keys = [signer, ...idp.keys.slice(0, 1)]
    }
    assert.deepEqual(outcomes, { admitted: 200 })
    assert.equal(idp.fetches, 4, 'one fetch at start and one a rotation')
  })

  test('is seen in the background, and unchanged keys stay the same', async () => {
    const idp = await runKeyServer(key)
    const { trusted, verify, outcome } = await run({
      idp: { jwksUrl: idp.jwksUrl, refreshSeconds: 0.02 },
    })
    await trusted.start()
    const first = await verify(token)
    const added = newSigningKey('k2')
    idp.keys = [key, added]
    await until('k2 is known', () => trusted.status().get('idp')?.kids.length === 2)
    const second = await verify(token)
    assert.ok(first.ok && second.ok && second.value.comesAgain, 'the cache was lost')
    idp.keys = [added]
    await until('k1 is gone', () => trusted.status().get('idp')?.kids.length === 1)
    assert.equal(await outcome(token), 'token-key-unknown')
  })
})

suite('an issuer that fails', () => {
  const failures: readonly (readonly [string, (response: ServerResponse) => void])[] = [
    ['an empty set', (response) => response.end('{"keys":[]}')],
    ['another object', (response) => response.end('{"oops":1}')],
    ['an HTML page', (response) => response.end('<html>maintenance</html>')],
    ['nothing', (response) => response.end()],
    ['a set of unusable keys', (response) => response.end('{"keys":[{"kty":"EC","kid":"x"}]}')],
    [
      'a set with a kid twice',
      (response) => response.end(JSON.stringify({ keys: [key.jwk, key.jwk] })),
    ],
    ['status 500', (response) => response.writeHead(500).end(JSON.stringify({ keys: [key.jwk] }))],
    ['status 429', (response) => response.writeHead(429).end()],
    ['a redirect', (response) => response.writeHead(302, { location: 'https://localhost/' }).end()],
    ['2 MB', (response) => response.end(`{"keys":[]${' '.repeat(2_000_000)}}`)],
    [
      'half an answer',
      (response) => void response.writeHead(200).write('{"keys":', () => response.destroy()),
    ],
  ]
  test('keeps its last good keys, whatever it answers, and is followed nowhere (SPIRE 1.14.2)', async () => {
    const idp = await runKeyServer(key)
    const { trusted, outcome } = await run({ idp: { jwksUrl: idp.jwksUrl, refreshSeconds: 0.01 } })
    await trusted.start()
    const good = idp.answer
    for (const [what, failing] of failures) {
      idp.answer = (_request, response) => failing(response)
      await until(`${what} is noticed`, () => trusted.status().get('idp')?.fault !== undefined)
      assert.equal(await outcome(token), 'admitted', `after ${what}`)
      assert.equal(await outcome(signToken(newSigningKey('new'), claims())), 'issuer-unavailable')
      idp.answer = good
      await until(
        `good again after ${what}`,
        () => trusted.status().get('idp')?.fault === undefined,
      )
    }
  })

  test('is trusted for a bounded time, then its callers get 503, and it comes back by itself', async () => {
    const idp = await runKeyServer(key)
    const { trusted, verify, outcome, passTime } = await run({
      idp: { jwksUrl: idp.jwksUrl, refreshSeconds: 0.02, maxStaleSeconds: 3600 },
    })
    await trusted.start()
    assert.equal(await outcome(token), 'admitted')
    const good = idp.answer
    idp.answer = (_request, response) => void response.writeHead(500).end()
    await until('it fails', () => trusted.status().get('idp')?.fault !== undefined)
    passTime(3599)
    assert.equal(await outcome(token), 'admitted')
    passTime(2)
    const refused = await verify(token)
    assert.ok(!refused.ok)
    assert.equal(refused.problem.tag, 'issuer-unavailable')
    assert.equal(refused.problem.headers?.['Retry-After'], '5')
    assert.equal(
      await outcome(signToken(key, claims({ jti: 'not in the cache' }))),
      'issuer-unavailable',
    )
    idp.answer = good
    await until('it is back', () => trusted.status().get('idp')?.usable === true)
    assert.equal(await outcome(token), 'admitted')
  })

  test('and hangs from the start holds up neither the start nor the others', async () => {
    const [good, hanging] = [await runKeyServer(key), await runKeyServer(key)]
    hanging.answer = () => {}
    const { trusted, outcome } = await run(
      {
        idp: { jwksUrl: good.jwksUrl },
        hanging: { issuer: 'https://hanging.example', jwksUrl: hanging.jwksUrl },
        dead: { issuer: 'https://dead.example', jwksUrl: 'https://127.0.0.1:1/keys' },
      },
      { longestStartMs: 200 },
    )
    const begun = performance.now()
    await trusted.start()
    assert.ok(performance.now() - begun < 2000)
    assert.equal(await outcome(token), 'admitted')
    const beganWaiting = performance.now()
    const stuck = signToken(key, claims({ iss: 'https://hanging.example' }))
    assert.equal(await outcome(stuck), 'issuer-unavailable')
    assert.ok(performance.now() - beganWaiting < 3000, 'a request waited for a hanging issuer')
    const dead = signToken(key, claims({ iss: 'https://dead.example' }))
    assert.equal(await outcome(dead), 'issuer-unavailable')
  })
})

suite('floods', () => {
  test('of made-up kids make one fetch, and valid callers notice nothing', async () => {
    const idp = await runKeyServer(key)
    const { trusted, outcome } = await run({ idp: { jwksUrl: idp.jwksUrl } })
    await trusted.start()
    const stranger = newSigningKey('x')
    const tokens = Array.from({ length: 200 }, (_, at) =>
      signToken({ ...stranger, kid: `made-up-${at}` }, claims()),
    )
    const flood = await Promise.all(tokens.map(outcome))
    assert.deepEqual(new Set(flood), new Set(['token-key-unknown']))
    assert.equal(idp.fetches, 2)
    assert.equal(await outcome(token), 'admitted')
  })

  test('of false signatures make one fetch', async () => {
    const idp = await runKeyServer(key)
    const { trusted, outcome } = await run({ idp: { jwksUrl: idp.jwksUrl } })
    await trusted.start()
    const forger = newSigningKey('k1')
    const flood = await Promise.all(
      Array.from({ length: 100 }, (_, at) => outcome(signToken(forger, claims({ jti: `${at}` })))),
    )
    assert.deepEqual(new Set(flood), new Set(['token-signature-invalid']))
    assert.equal(idp.fetches, 2)
  })

  test('of expired tokens with kids of long ago make none', async () => {
    const idp = await runKeyServer(key)
    const { trusted, outcome } = await run({ idp: { jwksUrl: idp.jwksUrl } })
    await trusted.start()
    const old = signToken(newSigningKey('2019'), claims({ iat: 1, exp: 2 }))
    assert.equal(await outcome(old), 'token-expired')
    assert.equal(idp.fetches, 1)
  })

  test('of requests at a cold start share one fetch, and all of them are served', async () => {
    const idp = await runKeyServer(key)
    const { outcome } = await run({ idp: { jwksUrl: idp.jwksUrl } })
    const tokens = Array.from({ length: 100 }, (_, at) => signToken(key, claims({ jti: `${at}` })))
    const outcomes = await Promise.all([...tokens, ...tokens.map(() => token)].map(outcome))
    assert.deepEqual(new Set(outcomes), new Set(['admitted']))
    assert.equal(idp.fetches, 1)
  })
})

test('fetches are counted by reason and result', async () => {
  const counted: Record<string, number> = {}
  const meter: Meter = {
    ...noMeter,
    counter:
      (name, labels) =>
      (by = 1) => {
        const { issuer, reason, result } = labels as Record<string, string>
        if (name !== 'sallyport_issuer_fetches_total') return
        const label = `${issuer} ${reason} ${result}`
        counted[label] = (counted[label] ?? 0) + by
      },
  }
  const idp = await runKeyServer(key)
  const { trusted, outcome } = await run({ idp: { jwksUrl: idp.jwksUrl } }, { meter })
  await trusted.start()
  await outcome(signToken(newSigningKey('k1'), claims()))
  idp.keys = [newSigningKey('k2')]
  await outcome(signToken(newSigningKey('k9'), claims()))
  assert.deepEqual(counted, {
    'idp start ok': 1,
    'idp bad-signature unchanged': 1,
    'idp unknown-kid ok': 1,
  })
})

test('across a reload an issuer that did not change keeps its keys', async () => {
  const idp = await runKeyServer(key)
  const shelf = new Map<
    string,
    ReturnType<Parameters<NonNullable<TrustedIssuersOptions['takeKeys']>>[1]>
  >()
  const takeKeys: TrustedIssuersOptions['takeKeys'] = (madeFrom, make) => {
    const label = JSON.stringify(madeFrom)
    const keys = shelf.get(label) ?? make()
    shelf.set(label, keys)
    return keys
  }
  const first = await run({ idp: { jwksUrl: idp.jwksUrl } }, { takeKeys })
  await first.trusted.start()
  const second = await run({ idp: { jwksUrl: idp.jwksUrl } }, { takeKeys })
  await second.trusted.start()
  first.trusted.close()
  assert.equal(await second.outcome(token), 'admitted')
  assert.equal(idp.fetches, 1)
  const changed = await run({ idp: { jwksUrl: idp.jwksUrl, algorithms: ['ES384'] } }, { takeKeys })
  await changed.trusted.start()
  assert.equal(idp.fetches, 2)
  for (const keys of shelf.values()) keys.close()
})
