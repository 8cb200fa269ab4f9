/**
 * What does it cost to check a token? The verifier of gateway and exchange: a token that is new, one that it remembers, one
 * of a thousand issuers, and bad ones; beside `jwtVerify` of jose and the bare signature by node:crypto. CPU of one call;
 * the variants take turns, medians of the rounds. Ends with one line of JSON.
 *
 * Run: npm run bench -- jwt [--rounds 15] [--tokens 500]
 */
import { generateKeyPairSync, randomBytes, verify as verifyBare, type KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { exportJWK, jwtVerify, SignJWT } from 'jose'
import { systemClock, systemRandomBytes } from '#contract/clock'
import { noLog, noMeter } from '#contract/telemetry'
import { p1363ToDer } from '#identity/jwt/ecdsa-signature'
import { trustedIssuers } from '#identity/jwt/issuers'
import { tokenVerifier } from '#identity/jwt/verify'
import { audience, issuerConfig } from '#test/fakes/issuer-config'
import { lastLine, percentile, rounded, table } from './rig/summary.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    tokens: { type: 'string', default: '500' },
  },
})
const count = Number(values.tokens)
const manyIssuers = 1000

const folder = mkdtempSync(join(tmpdir(), 'bench-jwt-'))
const algorithms = ['ES256', 'RS256', 'PS256', 'EdDSA'] as const
type Algorithm = (typeof algorithms)[number]
const makeKey: Readonly<Record<Algorithm, () => { privateKey: KeyObject; publicKey: KeyObject }>> =
  {
    ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    PS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    EdDSA: () => generateKeyPairSync('ed25519'),
  }
const keys = Object.fromEntries(algorithms.map((alg) => [alg, makeKey[alg]()])) as Record<
  Algorithm,
  { privateKey: KeyObject; publicKey: KeyObject }
>
const jwks = await Promise.all(
  algorithms.map(async (alg) => ({
    ...(await exportJWK(keys[alg].publicKey)),
    kid: alg,
    alg,
    use: 'sig',
  })),
)
const jwksFile = join(folder, 'jwks.json')
writeFileSync(jwksFile, JSON.stringify({ keys: jwks }))

const iss = (at: number) => `https://issuer-${at}.bench`
const verifierOf = async (issuerCount: number, maxTokens: number) => {
  const issuers = trustedIssuers({
    issuers: Object.fromEntries(
      Array.from({ length: issuerCount }, (_, at) => [
        `issuer-${at}`,
        issuerConfig({ issuer: iss(at), algorithms: [...algorithms], jwksFile }),
      ]),
    ),
    clock: systemClock,
    randomBytes: systemRandomBytes,
    uptimeMs: () => performance.now(),
    meter: noMeter,
    log: noLog,
  })
  await issuers.start()
  const verify = tokenVerifier({ issuers: issuers.byIss, maxTokens, meter: noMeter })
  const accepted = new Set(Array.from({ length: issuerCount }, (_, at) => `issuer-${at}`))
  const nowMs = systemClock()
  return { verify: (token: string) => verify(token, accepted, nowMs), close: issuers.close }
}

const seconds = Math.floor(Date.now() / 1000)
const tokenBy = (alg: Algorithm, at: number, issuer = 0): Promise<string> =>
  new SignJWT({
    iss: iss(issuer),
    aud: audience,
    sub: `user-${at}`,
    jti: String(at),
    iat: seconds,
    exp: seconds + 3600,
    scope: 'orders:read',
    tenant: 't1',
    roles: ['orders-reader'],
  })
    .setProtectedHeader({ alg, kid: alg, typ: 'JWT' })
    .sign(keys[alg].privateKey)
const each = (make: (at: number) => Promise<string>) =>
  Promise.all(Array.from({ length: count }, (_, at) => make(at)))

// Of few tokens none is remembered until it comes again.
const forgetful = await verifierOf(1, 2)
const remembering = await verifierOf(1, 100_000)
const ofMany = await verifierOf(manyIssuers, 2)
const es256 = await each((at) => tokenBy('ES256', at))
const parts = es256.map((token) => token.split('.') as [string, string, string])
const signed = parts.map(([head, payload, signature]) => ({
  data: Buffer.from(`${head}.${payload}`),
  signature: p1363ToDer(Buffer.from(signature, 'base64url'), 32),
}))
const random = (bytes: number) => randomBytes(bytes).toString('base64url')

type Run = (at: number) => unknown
const must = async (verified: unknown, isGood: boolean): Promise<void> => {
  if (((await verified) as { ok: boolean }).ok !== isGood) throw new Error('a wrong verdict')
}
const over =
  (tokens: readonly string[], verify: (token: string) => unknown): Run =>
  (at) =>
    verify(tokens[at % count] ?? '')
const checked = async (
  tokens: readonly string[],
  verify: (token: string) => unknown,
  isGood = true,
): Promise<Run> => {
  await must(verify(tokens[0] ?? ''), isGood)
  return over(tokens, verify)
}

const es256Key = keys.ES256.publicKey
const variants: Readonly<Record<string, Run>> = {
  'bare ES256 by node:crypto': (at) => {
    const one = signed[at % count]
    if (one) verifyBare('sha256', one.data, es256Key, one.signature)
  },
  'jose jwtVerify, ES256': over(es256, (token) => jwtVerify(token, es256Key, { audience })),
  'new, ES256': await checked(es256, forgetful.verify),
  'new, ES256, 1,000 issuers': await checked(
    await each((at) => tokenBy('ES256', at, at % manyIssuers)),
    ofMany.verify,
  ),
  'new, RS256': await checked(await each((at) => tokenBy('RS256', at)), forgetful.verify),
  'new, PS256': await checked(await each((at) => tokenBy('PS256', at)), forgetful.verify),
  'new, EdDSA': await checked(await each((at) => tokenBy('EdDSA', at)), forgetful.verify),
  remembered: await checked(es256, remembering.verify),
  garbage: await checked(
    es256.map(() => `${random(40)}.${random(200)}.${random(64)}`),
    forgetful.verify,
    false,
  ),
  expired: await checked(
    await each((at) =>
      new SignJWT({ iss: iss(0), aud: audience, sub: String(at), iat: 1, exp: 2 })
        .setProtectedHeader({ alg: 'ES256', kid: 'ES256', typ: 'JWT' })
        .sign(keys.ES256.privateKey),
    ),
    forgetful.verify,
    false,
  ),
}

/** Some of them answer later, so all are awaited, which costs them the same. */
const cpuMicros = async (run: Run): Promise<number> => {
  const before = process.cpuUsage()
  for (let at = 0; at < count; at++) await run(at)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / count
}

const all = new Map<string, number[]>(Object.keys(variants).map((name) => [name, []]))
const warmUps = 3
for (let round = -warmUps; round < Number(values.rounds); round++)
  for (const [name, run] of Object.entries(variants)) {
    const figure = await cpuMicros(run)
    if (round >= 0) all.get(name)?.push(figure)
  }
const medians = new Map([...all].map(([name, figures]) => [name, percentile(figures, 0.5)]))
const of = (name: keyof typeof variants) => medians.get(name) ?? Number.NaN
const bare = of('bare ES256 by node:crypto')
console.log(
  table(
    ['token', 'CPU µs', '× bare ES256'],
    [...medians].map(([name, figure]) => [name, figure.toFixed(1), (figure / bare).toFixed(2)]),
  ),
)
console.log(
  `\n${lastLine('jwt', {
    newToBare: rounded(of('new, ES256') / bare),
    newToJose: rounded(of('new, ES256') / of('jose jwtVerify, ES256')),
    manyIssuersToOne: rounded(of('new, ES256, 1,000 issuers') / of('new, ES256')),
    rememberedToNew: rounded(of('remembered') / of('new, ES256')),
    cpuMicros: Object.fromEntries([...medians].map(([name, figure]) => [name, rounded(figure, 1)])),
  })}`,
)
for (const { close } of [forgetful, remembering, ofMany]) close()
rmSync(folder, { recursive: true })
