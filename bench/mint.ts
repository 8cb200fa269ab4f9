/**
 * How fast does the exchange mint? ES256 tokens a second on one core beside the bare signing rate of node:crypto, the
 * whole exchange without HTTP (form, verified token from the cache, mapping, grant, signature), and certificates from a
 * CSR, the self-check included. The variants take turns; medians of the rounds. Ends with one line of JSON.
 *
 * Run: node node.js bench/mint.ts [--rounds 5] [--ms 400]
 */
import { generateKeyPairSync, sign } from 'node:crypto'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { pooledRandomBytes, systemRandomBytes } from '#contract/clock'
import { admitted, pass } from '#contract/problem'
import type { SpiffeId, TrustDomain } from '#contract/spiffe-id'
import { tokenExchangeGrant, tokenTypes } from '#contract/token-exchange'
import { openAuthority } from '#exchange/ca/authority'
import { publicKeyOfCsr } from '#exchange/ca/csr'
import { issuedRegister } from '#exchange/issued/register'
import { memoryKeyStore } from '#exchange/keys/memory'
import { signJwtSvid } from '#exchange/svid/jwt'
import { issueX509Svid } from '#exchange/svid/x509'
import { exchangeToken } from '#exchange/token/exchange-token'
import { grantsOf } from '#exchange/token/grants'
import { ownTokenVerifier } from '#exchange/token/own-token'
import { checkToken } from '#exchange/token/party'
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
}
const verifyOwn = ownTokenVerifier({
  issuer,
  trustDomain,
  authority: authority.current,
  isRevoked: () => false,
})
const exchange = exchangeToken({
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
  register: issuedRegister(100_000, Date.now),
  tokenEndpoints: [],
  checkAwsCaller: undefined,
  legacy: undefined,
  issuer,
  tokenKey: () => tokenKey,
  randomBytes,
})
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
  headers: {},
  certificate: undefined,
  body: form,
  path: '/token',
  address: '127.0.0.1',
  tlsVersion: 'TLSv1.3',
} as const
const noRecord = { at: () => {}, learn: () => {}, note: () => {} }
const csr = Buffer.from(createCsr(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey))
const certify = () => {
  const publicKey = publicKeyOfCsr(csr)
  if (!publicKey.ok) throw new Error(publicKey.problem.detail)
  const request = { spiffeId: gateway, publicKey: publicKey.value, lifetimeMs: hourMs }
  issueX509Svid(request, certificateIssuer, Date.now(), randomBytes)
}

const variants = {
  'node:crypto sign': () => sign('sha256', signingInput, tokenKey.privateKey),
  'JWT-SVID': () => signJwtSvid(content, tokenKey, randomBytes),
  'exchange without HTTP': async () => {
    const { result } = await exchange(question, Date.now(), noRecord)
    if (!result.ok) throw new Error(result.error.description)
  },
  'X.509-SVID from a CSR': certify,
} as const satisfies Record<string, () => unknown>
type Name = keyof typeof variants
const names = Object.keys(variants) as Name[]

/** Operations a second of this process's own CPU time, which a busy machine changes less than the wall clock. */
const rateOf = async (run: () => unknown): Promise<number> => {
  const before = process.cpuUsage()
  const until = performance.now() + roundMs
  let count = 0
  while (performance.now() < until) {
    for (let i = 0; i < 20; i++) await run()
    count += 20
  }
  const { user, system } = process.cpuUsage(before)
  return count / ((user + system) / 1e6)
}
const median = (numbers: readonly number[]) =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0

for (let turn = 0; turn < 3; turn++) for (const name of names) await rateOf(variants[name]) // warm
const rates = new Map<Name, number[]>(names.map((name) => [name, []]))
for (let round = 0; round < rounds; round++)
  for (const name of names) rates.get(name)?.push(await rateOf(variants[name]))
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
    certificateP95Ms: Number(percentile(0.95).toFixed(3)),
  }),
)
