import assert from 'node:assert/strict'
import { createPublicKey, X509Certificate } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Federation } from '#config/schema'
import { systemClock, systemRandomBytes, systemSleep } from '#contract/clock'
import type { TrustDomain } from '#contract/spiffe-id'
import { noMeter, type Meter } from '#contract/telemetry'
import { federatedBundles, type FederatedBundles } from '#identity/federation/federated-bundles'
import { federatedSvids } from '#identity/federation/federated-svids'
import { makeWebCertificate, runHttps } from '#test/fakes/https-server'
import {
  leafExtensions,
  makeCertificate,
  makeRoot,
  makeSvid,
  type MadeCertificate,
} from '#test/fakes/openssl'
import { newSigningKey } from '#test/fakes/token-maker'
import { fakeAgent, mapMessage } from '#test/fakes/workload-api'

const partner = 'partner.example' as TrustDomain
const endpointId = `spiffe://${partner}/bundle-endpoint`
const root = makeRoot(partner)
const jwtKey = { ...newSigningKey('j1').jwk, use: 'jwt-svid' }
const x509Key = ({ der, key }: Pick<MadeCertificate, 'der' | 'key'>) => ({
  ...createPublicKey(key).export({ format: 'jwk' }),
  use: 'x509-svid',
  x5c: [der.toString('base64')],
})
const document = (sequence: number | undefined, ...keys: readonly object[]) => ({
  keys: keys.length > 0 ? keys : [x509Key(root), jwtKey],
  ...(sequence === undefined ? {} : { spiffe_sequence: sequence }),
  spiffe_refresh_hint: 60,
})

const folder = mkdtempSync(join(tmpdir(), 'sallyport-federation-'))
after(() => rmSync(folder, { recursive: true }))
const file = (name: string, content: string | object) => {
  const path = join(folder, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}
const until = async (what: string, isSo: () => boolean) => {
  for (let waited = 0; !isSo(); waited += 5) {
    assert.ok(waited < 20_000, `never happened: ${what}`)
    await sleep(5)
  }
}

const web = makeWebCertificate()
const webCa = file('web.pem', web.ca)

/** What an endpoint answers, and how often it was asked. */
const publish = async (certificate: MadeCertificate = web.server) => {
  let answer: unknown = document(1)
  let status = 200
  let asked = 0
  const server = await runHttps(certificate, (request, response) => {
    asked++
    response.statusCode = request.url === '/bundle' ? status : 404
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer))
  })
  after(server.close)
  return {
    ...server,
    at: `${server.url}/bundle`,
    asked: () => asked,
    say: (next: unknown, code = 200) => {
      answer = next
      status = code
    },
  }
}

type Followed = {
  readonly bundles: FederatedBundles
  readonly results: string[]
  readonly refreshed: () => number | undefined
  readonly waits: number[]
  readonly logged: string[]
}

/** Polls are 5 ms apart, whatever is hinted; what was to be waited for is in `waits`. */
const follow = async (
  bundleEndpoint: Federation['trustDomains'][string]['bundleEndpoint'],
  directory?: string,
): Promise<Followed> => {
  const results: string[] = []
  const waits: number[] = []
  const logged: string[] = []
  let refreshed: number | undefined
  const meter = {
    ...noMeter,
    gauge: () => (value: number) => (refreshed = value),
    counter:
      (_name: string, { result }: { result: string }) =>
      () =>
        void results.push(result),
  } as unknown as Meter
  const note = (fields: object) => void logged.push(JSON.stringify(fields))
  const bundles = federatedBundles(
    { trustDomains: { [partner]: { bundleEndpoint } }, ...(directory ? { directory } : {}) },
    {
      ownRoots: () => makeRoot('mesh.example').pem,
      ownTrustDomain: 'mesh.example' as TrustDomain,
      clock: systemClock,
      sleep: (ms, signal) => {
        waits.push(ms)
        return systemSleep(5, signal)
      },
      randomBytes: systemRandomBytes,
      meter,
      log: { info: note, warn: note, error: note },
    },
  )
  after(bundles.close)
  await bundles.start()
  return { bundles, results, waits, logged, refreshed: () => refreshed }
}
const rootsIn = ({ bundles }: Followed) => bundles.get(partner)?.authorities.roots.length
const sequenceIn = ({ bundles }: Followed) => bundles.get(partner)?.sequence
const overWeb = (url: string) => ({ profile: 'https_web', url, caFile: webCa }) as const
const overSpiffe = (url: string, bundleFile: string, spiffeId = endpointId) =>
  ({ profile: 'https_spiffe', url, spiffeId, bundleFile }) as const

suite('the bundle of another trust domain', () => {
  test('comes by https_web from whoever the web knows, and by nobody else', async () => {
    const endpoint = await publish()
    const known = await follow(overWeb(endpoint.at))
    assert.equal(rootsIn(known), 1)
    assert.deepEqual([...(known.bundles.get(partner)?.jwtKeys.keys() ?? [])], ['j1'])
    assert.equal(known.bundles.get('mesh.example' as TrustDomain), undefined)
    const other = file('other.pem', makeWebCertificate().ca)
    const unknown = await follow({ ...overWeb(endpoint.at), caFile: other })
    assert.equal(rootsIn(unknown), undefined)
    assert.equal(unknown.results[0], 'failed')
  })

  test('comes by https_spiffe from the one SPIFFE ID, known by the bundle that is held', async () => {
    const endpoint = await publish(makeSvid(root, endpointId))
    const begin = file('begin.json', document(1))
    const known = await follow(overSpiffe(endpoint.at, begin))
    await until('it is fetched', () => known.results.includes('ok'))
    for (const [what, asked] of [
      ['another ID', overSpiffe(endpoint.at, begin, `spiffe://${partner}/other`)],
      [
        'other roots',
        overSpiffe(endpoint.at, file('o.json', document(1, x509Key(makeRoot(partner))))),
      ],
      ['no roots', overSpiffe(endpoint.at, file('none.json', document(1, jwtKey)))],
    ] as const) {
      const { results } = await follow(asked)
      assert.equal(results[0], 'failed', what)
    }
  })

  test('goes on over a change of its root: each is known by the one before', async () => {
    const next = makeRoot(partner, 'next')
    const old = await publish(makeSvid(root, endpointId))
    old.say(document(2, x509Key(root), x509Key(next)))
    const directory = mkdtempSync(join(folder, 'kept-'))
    const begin = file('begin-1.json', document(1))
    const before = await follow(overSpiffe(old.at, begin), directory)
    await until('both roots are here', () => rootsIn(before) === 2)
    before.bundles.close()
    const renewed = await publish(makeSvid(next, endpointId))
    renewed.say(document(3, x509Key(next)))
    const now = await follow(overSpiffe(renewed.at, begin), directory)
    await until('the new root alone is here', () => sequenceIn(now) === 3)
    assert.equal(rootsIn(now), 1)
  })

  const foreign = x509Key(makeRoot('evil.example'))
  for (const [what, worse] of [
    ['of a lower number', document(4, x509Key(makeRoot(partner)))],
    ['of the same number with other keys', document(5, x509Key(makeRoot(partner)))],
    ['without a number', document(undefined)],
    ['of another trust domain', document(6, foreign)],
    [
      'with keys of another trust domain among its own',
      document(6, x509Key(root), foreign, jwtKey),
    ],
    ['without keys', { ...document(6), keys: [] }],
    ['with two keys of one kid', document(6, jwtKey, jwtKey)],
    ['that is no JSON', '<html>'],
    ['of a megabyte', JSON.stringify({ ...document(6), more: 'x'.repeat(1_000_000) })],
  ] as const)
    test(`${what} never replaces a good one`, async () => {
      const endpoint = await publish()
      endpoint.say(document(5))
      const directory = mkdtempSync(join(folder, 'kept-'))
      const followed = await follow(overWeb(endpoint.at), directory)
      const good = followed.bundles.get(partner)
      assert.equal(good?.sequence, 5)
      endpoint.say(worse)
      const before = followed.results.length + 3
      await until('it was fetched', () => followed.results.length > before)
      assert.notEqual(followed.results.at(-1), 'ok')
      assert.equal(followed.bundles.get(partner), good)
      const since = followed.refreshed()
      assert.equal(
        readFileSync(join(directory, `${partner}.json`), 'utf8'),
        JSON.stringify(document(5)),
      )
      endpoint.say(document(7))
      await until('a good one is taken after it', () => sequenceIn(followed) === 7)
      assert.ok((followed.refreshed() ?? 0) > (since ?? Infinity))
    })

  test('is kept through a restart, and no older one is taken after it', async () => {
    const endpoint = await publish()
    endpoint.say(document(9))
    const directory = mkdtempSync(join(folder, 'kept-'))
    const before = await follow(overWeb(endpoint.at), directory)
    assert.equal(sequenceIn(before), 9)
    before.bundles.close()
    assert.deepEqual(readdirSync(directory), [`${partner}.json`])
    assert.equal(statSync(join(directory, `${partner}.json`)).mode & 0o777, 0o600)
    endpoint.say(document(8))
    const replayed = await follow(overWeb(endpoint.at), directory)
    assert.equal(replayed.results[0], 'refused')
    assert.equal(sequenceIn(replayed), 9)
    replayed.bundles.close()
    endpoint.say('', 503)
    const away = await follow(overWeb(endpoint.at), directory)
    assert.equal(away.results[0], 'failed')
    assert.equal(sequenceIn(away), 9)
    assert.equal(away.refreshed(), undefined, 'its age would look young')
    away.bundles.close()
    writeFileSync(join(directory, `${partner}.json`), 'half')
    endpoint.say(document(8))
    const spoilt = await follow(overWeb(endpoint.at), directory)
    assert.equal(sequenceIn(spoilt), 8)
    assert.ok(spoilt.logged.some((line) => line.includes(`${partner}.json`)))
  })

  for (const [hint, leastMs, mostMs] of [
    [undefined, 270_000, 330_000],
    [1, 4500, 5500],
    [60, 54_000, 66_000],
    [1_000_000, 3_240_000, 3_960_000],
  ] as const)
    test(`with a hint of ${hint ?? 'nothing'} is asked for after ${leastMs / 1000} to ${mostMs / 1000} s, after a failure too`, async () => {
      const endpoint = await publish()
      endpoint.say({ ...document(1), spiffe_refresh_hint: hint })
      const { waits, results } = await follow(overWeb(endpoint.at))
      endpoint.say('', 500)
      await until('it has failed', () => results.includes('failed') && waits.length > 4)
      assert.ok(
        waits.every((ms) => ms >= leastMs && ms <= mostMs),
        waits.join(),
      )
    })

  test('that was never had is asked for again soon', async () => {
    const endpoint = await publish()
    endpoint.say('', 500)
    const { waits, bundles } = await follow(overWeb(endpoint.at))
    await until('it was tried', () => waits.length > 2)
    assert.ok((waits[0] ?? 0) < 3000)
    endpoint.say(document(1))
    await until('it is here', () => bundles.get(partner) !== undefined)
  })
})

suite('the bundle of another trust domain, by an agent', () => {
  const given = (message: 1 | 2, domain: string, value: Buffer | string) =>
    mapMessage(message, { [`spiffe://${domain}`]: value, 'spiffe://third.example': value })
  const { use, ...plainKey } = jwtKey // SPIRE does not say there what a key is for
  const jwks = (...keys: readonly object[]) => JSON.stringify({ keys })
  assert.equal(use, 'jwt-svid')

  test('is put together of roots and keys, and changes with either', async () => {
    const agent = await fakeAgent()
    after(agent.remove)
    agent.say('FetchX509Bundles', given(2, partner, root.der))
    agent.say('FetchJWTBundles', given(1, partner, jwks(plainKey)))
    const followed = await follow({ profile: 'workload-api', socket: agent.socket })
    const now = () => followed.bundles.get(partner)
    await until('both are here', () => now()?.jwtKeys.has('j1') === true)
    assert.equal(now()?.x509Roots.trim(), root.pem.trim())
    assert.ok(agent.asked.every(({ header }) => header[0] === 'true'))
    const next = makeRoot(partner, 'next')
    agent.say('FetchX509Bundles', given(2, partner, Buffer.concat([root.der, next.der])))
    await until('both roots are here', () => rootsIn(followed) === 2)
    assert.ok(now()?.jwtKeys.has('j1'))
    agent.say('FetchJWTBundles', given(1, partner, jwks(newSigningKey('j2').jwk)))
    await until('the other key is here', () => now()?.jwtKeys.has('j2') === true)
    assert.equal(rootsIn(followed), 2)
    assert.deepEqual([...(now()?.jwtKeys.keys() ?? [])], ['j2'])
    assert.equal(followed.bundles.get('third.example' as TrustDomain), undefined)
  })

  for (const [what, method, message] of [
    ['that has nothing of the domain', 'FetchX509Bundles', given(2, 'other.example', root.der)],
    [
      'with the root of another',
      'FetchX509Bundles',
      given(2, partner, makeRoot('evil.example').der),
    ],
    ['without a certificate', 'FetchX509Bundles', given(2, partner, '')],
    ['of bytes', 'FetchX509Bundles', Buffer.from([0x12, 0xff])],
    ['with two keys of one kid', 'FetchJWTBundles', given(1, partner, jwks(plainKey, plainKey))],
    ['with keys that are no JSON', 'FetchJWTBundles', given(1, partner, '{')],
  ] as const)
    test(`${what} never replaces a good one`, async () => {
      const agent = await fakeAgent()
      after(agent.remove)
      agent.say('FetchX509Bundles', given(2, partner, root.der))
      agent.say('FetchJWTBundles', given(1, partner, jwks(plainKey)))
      const followed = await follow({ profile: 'workload-api', socket: agent.socket })
      await until('it is here', () => followed.bundles.get(partner)?.jwtKeys.has('j1') === true)
      const good = followed.bundles.get(partner)
      agent.say(method, message)
      await until('it was refused', () => followed.results.includes('refused'))
      assert.equal(followed.bundles.get(partner), good)
    })
})

suite('who comes from another trust domain', async () => {
  const intermediate = makeCertificate({
    issuer: root,
    subject: '/CN=intermediate',
    extensions: ['basicConstraints = critical, CA:TRUE', 'keyUsage = critical, keyCertSign'],
  })
  const endpoint = await publish()
  endpoint.say({
    ...document(1),
    sallyport_x509_intermediates: [
      intermediate.der.toString('base64'),
      makeRoot(partner).der.toString('base64'), // what no root of the bundle signed counts for nothing
      'no base64',
    ],
  })
  const { bundles } = await follow(overWeb(endpoint.at))
  const judge = federatedSvids(bundles, new Set([partner]))
  const soon = () => Date.now() + 60_000 // they are in force from now on
  const certificateOf = (made: MadeCertificate) => new X509Certificate(made.pem)
  const id = `spiffe://${partner}/job`

  test('is known by a root of its own bundle, or an intermediate that it tells of', () => {
    assert.equal(bundles.get(partner)?.authorities.intermediates.length, 1)
    for (const by of [root, intermediate]) {
      const judged = judge(certificateOf(makeSvid(by, id)), soon())
      assert.ok(judged?.ok, JSON.stringify(judged))
      assert.equal(judged.value.spiffeId, id)
    }
  })

  test('is nobody by the root of another, out of its time, or as what is no SVID', () => {
    const leaf = certificateOf(makeSvid(root, id))
    for (const [what, certificate, atMs] of [
      ['another root of that name', certificateOf(makeSvid(makeRoot(partner), id)), soon()],
      ['before its time', leaf, soon() - 86_400_000 * 400],
      ['after its time', leaf, soon() + 86_400_000 * 400],
      [
        'two URIs',
        certificateOf(
          makeCertificate({ issuer: root, extensions: leafExtensions(`URI:${id}, URI:${id}2`) }),
        ),
        soon(),
      ],
      ['a root', certificateOf(root), soon()],
    ] as const)
      assert.equal(judge(certificate, atMs)?.ok, false, what)
  })

  test('cannot speak for our own trust domain, or one that is not accepted here', () => {
    for (const stranger of ['spiffe://mesh.example/gateway', 'spiffe://third.example/job'])
      assert.equal(judge(certificateOf(makeSvid(root, stranger)), soon()), undefined)
    const nobody = federatedSvids(bundles, new Set())
    assert.equal(nobody(certificateOf(makeSvid(root, id)), soon()), undefined)
  })
})
