/**
 * How fast does the exchange mint? ES256 tokens a second on one core beside the bare signing rate of node:crypto, the
 * whole exchange without HTTP (form, verified token from the cache, mapping, grant, signature), in memory and with the
 * list of what was issued on disk, certificates from a CSR, the self-check included, and what the gateway pays for a token
 * that it has in its mint cache. The variants take turns; medians of the rounds. Ends with one line of JSON.
 *
 * Run: node node.js bench/mint.ts [--rounds 5] [--ms 400]
 */
import { generateKeyPairSync, sign } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { pooledRandomBytes, systemRandomBytes } from '#contract/clock'
import { admitted, pass } from '#contract/problem'
import { secret } from '#contract/secret'
import type { SpiffeId, TrustDomain } from '#contract/spiffe-id'
import { noLog, noMeter } from '#contract/telemetry'
import { tokenExchangeGrant, tokenTypes } from '#contract/token-exchange'
import { openAuthority } from '#exchange/ca/authority'
import { publicKeyOfCsr } from '#exchange/ca/csr'
import { issuedJournalIn } from '#exchange/issued/journal'
import { issuedRegister, type IssuedRegister } from '#exchange/issued/register'
import { noRevocations } from '#exchange/issued/revocations'
import { memoryKeyStore } from '#exchange/keys/memory'
import { signJwtSvid } from '#exchange/svid/jwt'
import { issueX509Svid } from '#exchange/svid/x509'
import { exchangeToken } from '#exchange/token/exchange-token'
import { grantsOf } from '#exchange/token/grants'
import { ownTokenVerifier } from '#exchange/token/own-token'
import { checkToken } from '#exchange/token/party'
import { mintCache, parentOf } from '#gateway/mint-cache'
import { createCsr } from '#identity/svid/csr'
import type { VerifiedToken } from '#identity/jwt/verified-token'
import { identityMapping } from '#identity/mapping'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    ms: { type: 'string', default: '400' },
  },
})
const rounds = Number(values.rounds)
const roundMs = Number(values.ms)

const trustDomain = 'mesh.example' as TrustDomain
const caller = 'spiffe://mesh.example/user/alice' as SpiffeId
const gateway = 'spiffe://mesh.example/gateway' as SpiffeId
const orders = 'spiffe://mesh.example/service/orders'
const issuer = 'https://exchange.example:8444'
const hourMs = 3_600_000
const randomBytes = pooledRandomBytes(systemRandomBytes)

const authority = await openAuthority({
  store: memoryKeyStore(),
  trustDomain,
  lifetimes: {
    rootMs: 8760 * hourMs,
    intermediateMs: 168 * hourMs,
    jwtKeyMs: 24 * hourMs,
    longestX509SvidMs: hourMs,
    longestTokenMs: 300_000,
  },
  clock: Date.now,
  randomBytes,
})
const { tokenKey, issuer: certificateIssuer } = authority.current()
const seconds = Math.floor(Date.now() / 1000)
const content = {
  issuer,
  subject: caller,
  audience: orders,
  issuedAtSeconds: seconds,
  expiresAtSeconds: seconds + 300,
}
const signingInput = Buffer.from(
  signJwtSvid(content, tokenKey, randomBytes).token.split('.', 2).join('.'),
)

/** As the verifier's cache gives it: what verifying costs is measured elsewhere. */
const verified: VerifiedToken = {
  issuerName: 'corp',
  issuer: 'https://idp.example',
  subject: 'alice',
  audiences: ['edge'],
  claims: { sub: 'alice', azp: 'shop' },
  kid: 'k1',
  jti: 'j1',
  issuedAtMs: seconds * 1000,
  expiresAtMs: (seconds + 3600) * 1000,
  fingerprint: 'f'.repeat(43),
  comesAgain: true,
}
const verifyOwn = ownTokenVerifier({
  issuer,
  trustDomain,
  authority: authority.current,
  isRevoked: () => false,
})
const exchangeWith = (register: IssuedRegister) =>
  exchangeToken({
    authentication: {
      issuer,
      spendOnce: () => admitted,
      gateways: new Set([gateway]),
      clients: { byId: new Map(), bySpiffeId: new Map(), methods: new Set() },
      selfService: false,
    },
    checkToken: checkToken(() => pass(verified), new Set(['corp']), verifyOwn),
    mapIdentity: identityMapping(
      [
        {
          name: 'people',
          issuer: 'corp',
          match: { azp: 'shop' },
          spiffeId: 'spiffe://mesh.example/user/{sub}',
        },
      ],
      trustDomain,
    ),
    policy: {
      issuer,
      trustDomain,
      selfServiceIssuers: new Set(),
      reserved: new Set([gateway]),
      audiences: new Set(),
      lifetimeSeconds: 300,
      txnLifetimeSeconds: 60,
      maxActors: 4,
      findGrant: grantsOf([]),
    },
    decide: { engine: undefined, requires: {}, trustDomain, issuers: {} },
    limits: { client: undefined, subject: undefined },
    spendOnce: () => admitted,
    oneTimeIssuers: new Set(),
    register,
    tokenEndpoints: [],
    checkAwsCaller: undefined,
    legacy: undefined,
    issuer,
    tokenKey: () => tokenKey,
    randomBytes,
  })
const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'))
const journal = issuedJournalIn(folder, 100_000, Date.now, noLog)
const onDisk = {
  journal,
  issued: await journal.load(),
  revocations: noRevocations,
  revoked: new Map<string, number>(),
}
const exchange = exchangeWith(issuedRegister(100_000, Date.now))
const keepingExchange = exchangeWith(issuedRegister(100_000, Date.now, onDisk))
const form = Buffer.from(
  new URLSearchParams({
    grant_type: tokenExchangeGrant,
    subject_token: `${'a'.repeat(60)}.${'b'.repeat(500)}.${'c'.repeat(86)}`,
    subject_token_type: tokenTypes.jwt,
    requested_token_type: tokenTypes.jwt,
    audience: orders,
  }).toString(),
)
const question = {
  peer: { kind: 'proven', spiffeId: gateway, thumbprint: 't' },
  authorization: undefined,
  dpop: undefined,
  headers: () => ({}),
  certificate: () => undefined,
  body: form,
  path: '/token',
  address: '127.0.0.1',
  tlsVersion: 'TLSv1.3',
} as const
/** Questions that gateways ask at once: what is issued meanwhile goes to disk in one write. */
const atOnce = 16
const noRecord = { at: () => {}, learn: () => {}, note: () => {} }
const csr = Buffer.from(createCsr(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey))

/** A gateway's cache with as many tokens as it holds by default, of which every look-up finds another one. */
const cached = 10_000
const cache = mintCache(
  async (request) =>
    pass({
      token: secret(signJwtSvid(content, tokenKey, randomBytes).token),
      tokenType: tokenTypes.jwt,
      subject: caller,
      audience: request.audience,
      jti: 'j',
      kid: tokenKey.kid,
      issuedAtMs: seconds * 1000,
      expiresAtMs: (seconds + 3600) * 1000,
    }),
  2 * cached,
  noMeter,
)
const expiresAtMs = (seconds + 3600) * 1000
const parents = Array.from({ length: cached }, (_, i) =>
  parentOf({ fingerprint: String(i).padStart(43, 'f'), expiresAtMs }, caller),
)
const request = {
  subjectToken: secret('x'),
  audience: orders,
  requestedTokenType: tokenTypes.jwt,
  decisionId: 'd',
} as const
for (const parent of parents) await cache.take(parent, request, Date.now())
let at = 0
const takeFromCache = () => {
  const parent = parents[at++ % cached]
  if (parent === undefined) throw new TypeError('no parent')
  if (cache.take(parent, request, Date.now()) instanceof Promise) throw new Error('a miss')
}

const certify = () => {
  const publicKey = publicKeyOfCsr(csr)
  if (!publicKey.ok) throw new Error(publicKey.problem.detail)
  const wanted = { spiffeId: gateway, publicKey: publicKey.value, lifetimeMs: hourMs }
  issueX509Svid(wanted, certificateIssuer, Date.now(), randomBytes)
}

const variants = {
  'node:crypto sign': () => sign('sha256', signingInput, tokenKey.privateKey),
  'JWT-SVID': () => signJwtSvid(content, tokenKey, randomBytes),
  'exchange without HTTP': async () => {
    const { result } = await exchange(question, Date.now(), noRecord)
    if (!result.ok) throw new Error(result.error.description)
  },
  'the same, kept on disk': async () => {
    const all = Array.from({ length: atOnce }, () =>
      keepingExchange(question, Date.now(), noRecord),
    )
    for (const { result } of await Promise.all(all))
      if (!result.ok) throw new Error(result.error.description)
  },
  'X.509-SVID from a CSR': certify,
  'mint cache, a hit': takeFromCache,
} as const satisfies Record<string, () => unknown>
type Name = keyof typeof variants
const names = Object.keys(variants) as Name[]

/** Operations a second of this process's own CPU time, which a busy machine changes less than the wall clock. */
const rateOf = async (name: Name): Promise<number> => {
  const run: () => unknown = variants[name]
  const before = process.cpuUsage()
  const until = performance.now() + roundMs
  let count = 0
  while (performance.now() < until) {
    for (let i = 0; i < 20; i++) await run()
    count += name === 'the same, kept on disk' ? 20 * atOnce : 20
  }
  const { user, system } = process.cpuUsage(before)
  return count / ((user + system) / 1e6)
}
const median = (numbers: readonly number[]) =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0

for (let turn = 0; turn < 3; turn++) for (const name of names) await rateOf(name) // warm
const rates = new Map<Name, number[]>(names.map((name) => [name, []]))
for (let round = 0; round < rounds; round++)
  for (const name of names) rates.get(name)?.push(await rateOf(name))
const rate = (name: Name) => median(rates.get(name) ?? [])

const certificateMs: number[] = []
for (let i = 0; i < 1000; i++) {
  const began = performance.now()
  certify()
  certificateMs.push(performance.now() - began)
}
certificateMs.sort((a, b) => a - b)
const percentile = (share: number) => certificateMs[Math.floor(certificateMs.length * share)] ?? 0

const floor = rate('node:crypto sign')
console.log(
  `Node ${process.version}, ${cpus()[0]?.model ?? 'unknown'}, one core, ${rounds} rounds of ${roundMs} ms\n`,
)
console.log('what                      a second       µs   × bare signing')
for (const name of names)
  console.log(
    `${name.padEnd(24)} ${rate(name).toFixed(0).padStart(9)} ${(1e6 / rate(name)).toFixed(1).padStart(8)} ${(rate(name) / floor).toFixed(2).padStart(9)}`,
  )
console.log(
  `\nX.509-SVID from a CSR: p50 ${percentile(0.5).toFixed(2)} ms, p95 ${percentile(0.95).toFixed(2)} ms, p99 ${percentile(0.99).toFixed(2)} ms\n`,
)
console.log(
  JSON.stringify({
    bench: 'mint',
    node: process.version,
    date: new Date().toISOString().slice(0, 10),
    signaturesPerSecond: Math.round(floor),
    tokensPerSecond: Math.round(rate('JWT-SVID')),
    exchangesPerSecond: Math.round(rate('exchange without HTTP')),
    certificatesPerSecond: Math.round(rate('X.509-SVID from a CSR')),
    tokensRatio: Number((rate('JWT-SVID') / floor).toFixed(3)),
    exchangesRatio: Number((rate('exchange without HTTP') / floor).toFixed(3)),
    exchangesOnDiskRatio: Number((rate('the same, kept on disk') / floor).toFixed(3)),
    certificateP95Ms: Number(percentile(0.95).toFixed(3)),
    cacheHitMicros: Number((1e6 / rate('mint cache, a hit')).toFixed(3)),
  }),
)
await journal.close()
rmSync(folder, { recursive: true })
