import { hash } from 'node:crypto'
import { pass, refuse, type Refusal, type Result } from '#contract/problem'
import type { Soon } from '#contract/step'
import type { Meter } from '#contract/telemetry'
import type { KeyAbsence } from './issuer-keys.ts'
import { quotable, refuseToken } from './challenge.ts'
import { readStandardClaims, type StandardClaims } from './claims.ts'
import type { TrustedIssuer } from './issuers.ts'
import { platformForms, platformProfiles } from '../platforms/profiles.ts'
import { issuerOfSubject } from '../platforms/spiffe.ts'
import { deepFreeze } from '#contract/deep-freeze'
import type { JsonObject } from '../json-strict.ts'
import type { VerificationKey } from './jwks.ts'
import {
  knownHeaders,
  maxTokenChars,
  parseClaims,
  parseIssuersJws,
  refuseMember,
  type CompactJws,
  type KnownHeaders,
} from './strict-parse.ts'
import { checkTimes, readTimes, type TokenTimes } from './times.ts'
import { tokenCache, tokenKey, type CachedToken } from './token-cache.ts'
import type { VerifiedToken, VerifyToken } from './verified-token.ts'

export type TokenVerifierOptions = {
  /** By exact `iss`, of `trustedIssuers`. */
  readonly issuers: ReadonlyMap<string, TrustedIssuer>
  /** Verified tokens to remember. */
  readonly maxTokens: number
  readonly meter: Meter
}

/** Everything about a token but its signature. */
type Read = {
  readonly jws: CompactJws
  readonly issuer: TrustedIssuer
  readonly claims: JsonObject
  readonly standard: StandardClaims
  readonly times: TokenTimes
}

/** Seconds after which a caller should come back while keys cannot be had. */
const retryAfterSeconds = '5'

/**
 * Makes the one check of bearer tokens, with its cache. One verifier belongs to one configuration of issuers: a changed
 * audience or lifetime needs a new one, since tokens in the cache are not measured against those again.
 *
 * Order: form, issuer, algorithm, type, claims and times, profile of the platform, key, signature. All but the last look at what nobody has
 * verified yet, and so they only ever refuse: that is cheap, and a token that expired long ago makes no issuer be asked for
 * the key it was signed with.
 *
 * It answers at once unless the key is not known or the signature does not fit: then it may wait up to 1 s while the issuer
 * is asked (see `issuerKeys`).
 *
 * jose imports the keys (`jwks.ts`) but does not check the signatures: through WebCrypto that takes twice as long and a
 * promise for each token, and the claims have to be checked more strictly than it does in any case.
 *
 * @see RFC 7519 §7.2, RFC 8725 §3
 */
export const tokenVerifier = ({ issuers, maxTokens, meter }: TokenVerifierOptions): VerifyToken => {
  const cache = tokenCache(maxTokens)
  const headers = knownHeaders()
  const countHit = meter.counter('sallyport_token_cache_total', { result: 'hit' })
  const countMiss = meter.counter('sallyport_token_cache_total', { result: 'miss' })

  const remember = (
    token: string,
    tokenHash: string,
    read: Read,
    key: VerificationKey,
    nowMs: number,
  ): Result<VerifiedToken> => {
    if (read.times.iat !== undefined) read.issuer.clock.made(read.times.iat, nowMs)
    const verified = verifiedTokenOf(read)
    headers.keep(read.jws.signingInput, read.jws.header)
    cache.set(tokenHash, token.length, {
      token: verified,
      times: read.times,
      issuer: read.issuer,
      key,
    })
    return pass(verified)
  }

  const verifyAnew = (
    token: string,
    tokenHash: string,
    accepted: ReadonlySet<string>,
    nowMs: number,
  ): Soon<Result<VerifiedToken>> => {
    const reading = readToken(token, headers, issuers, accepted, nowMs)
    if (!reading.ok) return reading
    const read = reading.value
    const { kid } = read.jws.header
    const { keys } = read.issuer
    const key = keys.get(kid)
    if (key && !keys.usable()) return unavailable(read)
    if (key && signatureFits(read.jws, key)) return remember(token, tokenHash, read, key, nowMs)
    if (key && key.algorithm !== read.jws.header.alg) return wrongAlgorithm()
    const finish = (found: VerificationKey | KeyAbsence) =>
      typeof found !== 'string' && signatureFits(read.jws, found)
        ? remember(token, tokenHash, read, found, nowMs)
        : refuseForKey(read, found, key)
    const found = keys.seek(kid, key)
    return found instanceof Promise ? found.then(finish) : finish(found)
  }

  return (token, accepted, nowMs) => {
    // What is longer is refused as it is read, and never remembered.
    const tokenHash = token.length <= maxTokenChars ? tokenKey(token) : ''
    const cached = cache.get(tokenHash, token.length)
    if (cached && isKeyStillThere(cached)) {
      countHit()
      if (!cached.token.comesAgain)
        cached.token = Object.freeze({ ...cached.token, comesAgain: true })
      return checkAgain(cached, accepted, nowMs)
    }
    countMiss()
    return verifyAnew(token, tokenHash, accepted, nowMs)
  }
}

/** A key that its issuer has withdrawn takes its tokens along. */
const isKeyStillThere = ({ issuer, key }: CachedToken): boolean => issuer.keys.get(key.kid) === key

const checkAgain = (
  { token, times, issuer }: CachedToken,
  accepted: ReadonlySet<string>,
  nowMs: number,
): Result<VerifiedToken> => {
  if (!accepted.has(issuer.name)) return unknownIssuer(issuer.name)
  if (!issuer.keys.usable()) return issuerUnavailable(issuer.name, token.kid)
  const timely = checkTimes(times, issuer.options, nowMs)
  return timely.ok ? pass(token) : timely
}

const readToken = (
  token: string,
  headers: KnownHeaders,
  issuers: ReadonlyMap<string, TrustedIssuer>,
  accepted: ReadonlySet<string>,
  nowMs: number,
): Result<Read> => {
  const jws = parseIssuersJws(token, headers)
  if (!jws.ok) return jws
  const said = parseClaims(jws.value)
  if (!said.ok) return said
  const { iss } = said.value
  const issuer = findIssuer(said.value, issuers)
  if (!issuer || !accepted.has(issuer.name)) return unknownIssuer(iss)
  const form = platformForms[issuer.options.platform]
  const { alg, typ, jku, isPlain } = jws.value.header
  if (jku !== undefined && jku !== form?.keyAddress?.(issuer.options.issuer))
    return refuseMember('jku')
  if (form?.isHeaderPlain && !isPlain) return refuseMember('more than alg, kid and typ')
  const claims = form?.claims?.(said.value) ?? said.value
  if (!issuer.options.algorithms.includes(alg)) return wrongAlgorithm()
  // In the configuration `none` stands for no `typ` at all, so a token cannot have that one.
  const isOfType = form?.types
    ? form.types.includes(typ)
    : typ !== 'none' && issuer.options.types.includes(typ ?? 'none')
  if (!isOfType)
    return refuseToken('token-type-refused', 'This kind of token is not accepted here', { typ })
  const standard = readStandardClaims(claims, issuer.options)
  if (!standard.ok) return standard
  const times = readTimes(claims, issuer.options.maxLifetimeSeconds, nowMs)
  if (!times.ok) return times
  const timely = checkTimes(times.value, issuer.options, nowMs)
  if (!timely.ok) {
    noteOfTomorrow(jws.value, times.value, issuer, nowMs)
    return timely
  }
  const fitting = platformProfiles[issuer.options.platform](claims, issuer.options.issuer)
  if (!fitting.ok)
    return refuseToken(
      'token-claim-invalid',
      `The token is not one of ${issuer.options.platform}: ${quotable(fitting.fault)}`,
      { issuer: issuer.name },
    )
  return pass({
    jws: jws.value,
    issuer,
    claims,
    standard: standard.value,
    times: times.value,
  })
}

/**
 * The issuer that a token says it is of. Another trust domain is found by the subject alone, and not by an `iss` that says
 * so, nor is any other issuer found by its subject.
 */
const findIssuer = (
  claims: JsonObject,
  issuers: ReadonlyMap<string, TrustedIssuer>,
): TrustedIssuer | undefined => {
  const { iss } = claims
  const named = typeof iss === 'string' ? issuers.get(iss) : undefined
  if (named && named.options.platform !== 'spiffe') return named
  const ofSubject = issuers.get(issuerOfSubject(claims) ?? '')
  return ofSubject?.options.platform === 'spiffe' ? ofSubject : undefined
}

/** A clock that is so far ahead that its tokens are refused is the one to be seen: only by what its issuer signed. */
const noteOfTomorrow = (
  jws: CompactJws,
  { iat }: TokenTimes,
  { keys, clock }: TrustedIssuer,
  nowMs: number,
): void => {
  const key = keys.get(jws.header.kid)
  if (iat !== undefined && iat * 1000 > nowMs && key && signatureFits(jws, key))
    clock.made(iat, nowMs)
}

/** One key, one algorithm (RFC 8725 §3.1): what the token says must be what the key is for. */
const signatureFits = ({ header, signingInput, signature }: CompactJws, key: VerificationKey) =>
  header.alg === key.algorithm && key.verify(signingInput, signature)

const verifiedTokenOf = ({ jws, issuer, claims, standard, times }: Read): VerifiedToken =>
  Object.freeze({
    issuerName: issuer.name,
    issuer: issuer.options.issuer,
    ...standard,
    claims: deepFreeze(claims),
    kid: jws.header.kid,
    issuedAtMs: times.iat === undefined ? undefined : times.iat * 1000,
    expiresAtMs: times.exp * 1000,
    fingerprint: hash('sha256', jws.signingInput, 'base64url'),
    comesAgain: false,
  })

/** No key was found that fits: which of the reasons it is decides what the caller should do. */
const refuseForKey = (
  read: Read,
  found: VerificationKey | KeyAbsence,
  tried: VerificationKey | undefined,
): Refusal => {
  const { issuer, jws } = read
  const { kid } = jws.header
  if (typeof found !== 'string' && found.algorithm !== jws.header.alg) return wrongAlgorithm()
  if (tried || typeof found !== 'string')
    return refuseToken('token-signature-invalid', 'The signature of the token is not valid', {
      issuer: issuer.name,
      kid,
    })
  if (found === 'unavailable') return unavailable(read)
  return refuseToken('token-key-unknown', 'The key of the token is not known', {
    issuer: issuer.name,
    kid,
  })
}

const wrongAlgorithm = (): Refusal =>
  refuseToken('token-algorithm-refused', 'The algorithm of the token is not accepted')

const unknownIssuer = (iss: unknown): Refusal =>
  refuseToken('token-issuer-unknown', 'The issuer of the token is not trusted here', {
    iss: typeof iss === 'string' ? quotable(iss) : typeof iss,
  })

const unavailable = ({ issuer, jws }: Read): Refusal =>
  issuerUnavailable(issuer.name, jws.header.kid)

/** 503 and not 401: nothing is known to be wrong with the token, and a new one would not help. */
const issuerUnavailable = (issuer: string, kid: string): Refusal =>
  refuse('issuer-unavailable', {
    cause: { issuer, kid },
    headers: { 'Retry-After': retryAfterSeconds },
  })
