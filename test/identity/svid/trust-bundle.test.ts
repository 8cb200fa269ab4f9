import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemRandomBytes, systemSleep } from '#contract/clock'
import { parseSpiffeId, parseTrustDomain } from '#contract/spiffe-id'
import { noLog } from '#contract/telemetry'
import { acceptBundle } from '#identity/svid/bundle'
import { trustBundle } from '#identity/svid/trust-bundle'
import { startTestExchange } from '#test/exchange/running-exchange'
import { runHttps } from '#test/fakes/https-server'
import { makeRoot, makeSvid, type MadeCertificate } from '#test/fakes/openssl'
import { newSigningKey } from '#test/fakes/token-maker'

const domain = parseTrustDomain('mesh.example')
const exchangeId = parseSpiffeId('spiffe://mesh.example/exchange')
assert.ok(domain.ok && exchangeId.ok)
const trustDomain = domain.value
const spiffeId = exchangeId.value
const root = makeRoot(trustDomain)
const jwtKey = { ...newSigningKey('j1').jwk, use: 'jwt-svid' }
const x509Key = ({ der, key }: MadeCertificate): Record<string, unknown> => ({
  ...createPublicKey(key).export({ format: 'jwk' }),
  use: 'x509-svid',
  x5c: [der.toString('base64')],
})
const accept = (bundle: unknown) => acceptBundle(Buffer.from(JSON.stringify(bundle)), trustDomain)

suite('a SPIFFE bundle', () => {
  test('gives roots, JWT keys, its number and its hint', async () => {
    const next = makeRoot(trustDomain, 'next')
    const bundle = await accept({
      keys: [x509Key(root), jwtKey, x509Key(next)],
      spiffe_sequence: 7,
      spiffe_refresh_hint: 60,
    })
    assert.ok(bundle.ok)
    assert.equal(bundle.value.x509Roots, root.pem + next.pem)
    assert.deepEqual([...bundle.value.jwtKeys.keys()], ['j1'])
    assert.deepEqual(bundle.value.ignored, [])
    assert.equal(bundle.value.sequence, 7)
    assert.equal(bundle.value.refreshHintSeconds, 60)
  })

  for (const [what, key, isNamed] of [
    ['without a use', { ...jwtKey, use: undefined }, false],
    ['of an unknown use', { ...jwtKey, use: 'wit-svid' }, false],
    ['of an unknown type', { kty: 'XYZ', use: 'jwt-svid', kid: 'x' }, true],
    ['for JWTs without kid', { ...jwtKey, kid: undefined }, true],
    ['for JWTs by EdDSA', { ...newSigningKey('e', 'EdDSA').jwk, use: 'jwt-svid' }, true],
    ['for X.509 with a kid', { ...x509Key(makeRoot(trustDomain)), kid: 'x' }, true],
    ['for X.509 without a certificate', { ...x509Key(root), x5c: undefined }, true],
    ['for X.509 with two certificates', { ...x509Key(root), x5c: ['a', 'b'] }, true],
    ['for X.509 that is no base64', { ...x509Key(root), x5c: ['*'] }, true],
    ['of a leaf', x509Key(makeSvid(root, 'spiffe://mesh.example/a')), true],
    ['of another trust domain', x509Key(makeRoot('other.example')), true],
  ] as const)
    test(`leaves out a key ${what}`, async () => {
      const bundle = await accept({ keys: [key, x509Key(root)] })
      assert.ok(bundle.ok)
      assert.equal(bundle.value.x509Roots, root.pem)
      assert.equal(bundle.value.jwtKeys.size, 0)
      assert.equal(bundle.value.ignored.length, isNamed ? 1 : 0)
      assert.equal((await accept({ keys: [key] })).ok, false, 'a bundle of nothing was accepted')
    })

  test('with two JWT keys of one kid is refused', async () => {
    assert.equal((await accept({ keys: [jwtKey, { ...jwtKey }] })).ok, false)
  })
})

const until = async (what: string, isSo: () => boolean) => {
  for (let waited = 0; !isSo(); waited += 5) {
    assert.ok(waited < 30_000, `never happened: ${what}`)
    await sleep(5)
  }
}

suite('the trust bundle of the exchange', async () => {
  let published: unknown = { keys: [x509Key(root)], spiffe_sequence: 5 }
  let fetches = 0
  const server = await runHttps(makeSvid(root, spiffeId), (request, response) => {
    fetches++
    assert.equal(request.url, '/bundle')
    response.end(typeof published === 'string' ? published : JSON.stringify(published))
  })
  after(server.close)
  const open = (id = spiffeId, roots = root.pem) => {
    const bundle = trustBundle({
      exchange: { url: server.url, spiffeId: id, timeoutMs: 2000 },
      trustDomain,
      roots: () => roots,
      sleep: (_ms, signal) => systemSleep(10, signal),
      randomBytes: systemRandomBytes,
      log: noLog,
    })
    after(bundle.close)
    return bundle
  }

  test('is fetched and kept fresh', async () => {
    const bundle = open()
    assert.equal(bundle.current(), undefined)
    await until('it is here', () => bundle.current() !== undefined)
    const told: (number | undefined)[] = []
    bundle.onChange(({ sequence }) => told.push(sequence))
    const next = makeRoot(trustDomain, 'next')
    published = { keys: [x509Key(root), x509Key(next)], spiffe_sequence: 6 }
    await until('it has changed', () => bundle.current()?.x509Roots === root.pem + next.pem)
    const before = fetches
    await until('it was fetched again', () => fetches > before + 2)
    assert.deepEqual(told, [6])
    bundle.close()
  })

  test('is not replaced by an older, a broken or an empty one', async () => {
    published = { keys: [x509Key(root)], spiffe_sequence: 6 }
    const bundle = open()
    await until('it is here', () => bundle.current() !== undefined)
    const good = bundle.current()
    for (const [worse, fault] of [
      [{ keys: [x509Key(makeRoot(trustDomain))], spiffe_sequence: 5 }, /sequence number/],
      [{ keys: [x509Key(makeRoot(trustDomain))] }, /sequence number/],
      [{ keys: [] }, /no usable key/],
      [{ keys: [x509Key(makeRoot('other.example'))], spiffe_sequence: 7 }, /another trust domain/],
      ['oops', /not JSON/],
    ] as const) {
      published = worse
      await bundle.refresh() // one that was under way may have been answered before
      const refused = await bundle.refresh()
      assert.ok(!refused.ok)
      assert.match(refused.fault, fault)
      assert.equal(bundle.current(), good)
    }
    bundle.close()
  })

  test('is not taken from anybody else', async () => {
    published = { keys: [x509Key(root)], spiffe_sequence: 9 }
    const evil = parseSpiffeId('spiffe://mesh.example/evil')
    assert.ok(evil.ok)
    const wrongId = await open(evil.value).refresh()
    assert.ok(!wrongId.ok)
    assert.match(wrongId.fault, /must be/)
    const wrongRoot = await open(spiffeId, makeRoot(trustDomain).pem).refresh()
    assert.ok(!wrongRoot.ok)
  })
})

test('the real exchange publishes a bundle that we accept', async () => {
  const exchange = await startTestExchange()
  after(exchange.stop)
  const bundle = trustBundle({
    exchange: { url: exchange.urls.exchange, spiffeId, timeoutMs: 2000 },
    trustDomain,
    roots: exchange.roots,
    sleep: systemSleep,
    randomBytes: systemRandomBytes,
    log: noLog,
  })
  after(bundle.close)
  const fetched = await bundle.refresh()
  assert.ok(fetched.ok, JSON.stringify(fetched))
  assert.equal(fetched.value.x509Roots.trim(), exchange.roots().trim())
  assert.ok(fetched.value.jwtKeys.size > 0)
  assert.deepEqual(fetched.value.ignored, [])
})
