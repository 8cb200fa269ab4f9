import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { causeText } from '#contract/cause'
import type { Clock } from '#contract/clock'
import type { TrustDomain } from '#contract/spiffe-id'
import type { Issuer, Issuers } from '#config/schema'
import type { FederatedBundles } from '../federation/federated-bundles.ts'
import { askIssuer, readCredentials } from '../introspection/ask-issuer.ts'
import { introspector, type Introspector } from '../introspection/introspector.ts'
import { bundleKeys } from './bundle-keys.ts'
import { clockAhead, type ClockAhead } from './clock-ahead.ts'
import { issuerKeys, type IssuerKeys } from './issuer-keys.ts'
import type { IssuerKeysDeps, IssuerStatus } from './key-refresher.ts'
import { keySourceOf } from './key-source.ts'

/** An issuer of the configuration with its keys. */
export type TrustedIssuer = {
  readonly name: string
  readonly options: Issuer
  readonly keys: IssuerKeys
  readonly clock: ClockAhead
}

/** `clockAheadSeconds`: see `ClockAhead`. */
type ClockStatus = { readonly clockAheadSeconds: number | undefined }

export type TrustedIssuers = {
  /** By `iss`, code point by code point: finding one costs the same however many there are. */
  readonly byIss: ReadonlyMap<string, TrustedIssuer>
  /** Those that are asked about each token, by name, and their names by `iss`. */
  readonly introspecting: ReadonlyMap<string, Introspector>
  readonly introspectingByIss: ReadonlyMap<string, string>
  /**
   * Fetches the keys of all. Resolves when each was tried, or after `longestStartMs`: a dead issuer holds up nobody, its
   * own callers get 503 until it is back. Rejects if a `jwksFile` cannot be used.
   */
  readonly start: () => Promise<void>
  /** By name, for readiness and the admin listener. */
  readonly status: () => ReadonlyMap<string, IssuerStatus & ClockStatus>
  /** Stops all refreshing, except of keys that `takeKeys` gave. */
  readonly close: () => void
}

export type TrustedIssuersOptions = IssuerKeysDeps & {
  readonly issuers: Issuers
  /** Names of issuers whose keys may be fetched over plain HTTP (`unsafe.plainHttpIssuers`). */
  readonly plainHttpIssuers?: readonly string[]
  /** By default 5 s. */
  readonly longestStartMs?: number
  /**
   * Gives the keys of an issuer that did not change, across a reload; whoever gives them closes them. `madeFrom` is plain
   * data, equal when nothing changed.
   */
  readonly takeKeys?: (madeFrom: unknown, make: () => IssuerKeys) => IssuerKeys
  /** The same of one that is asked about its tokens, with what it said. */
  readonly takeIntrospector?: (madeFrom: unknown, make: () => Introspector) => Introspector
  /** Signs assertions by it. */
  readonly clock: Clock
  /** Where the keys of other trust domains (`platform: spiffe`) come from. */
  readonly federated?: Pick<FederatedBundles, 'get' | 'status'>
}

const fetchTimeoutMs = 5000
const defaultLongestStartMs = 5000
/** At start; each takes a connection. */
const fetchesAtATime = 64

/**
 * The issuers that are trusted, each with a refresher of its own, so that one that is slow, dead or broken harms no other.
 *
 * @throws Error for what the operator has to mend: an unreadable `caFile`, two issuers with one `iss`, an `iss` that is
 *   no URL where the keys have to be discovered.
 */
export const trustedIssuers = (options: TrustedIssuersOptions): TrustedIssuers => {
  const {
    issuers,
    plainHttpIssuers = [],
    takeKeys,
    longestStartMs = defaultLongestStartMs,
  } = options
  const byIss = new Map<string, TrustedIssuer>()
  const introspecting = new Map<string, Introspector>()
  const introspectingByIss = new Map<string, string>()
  for (const [name, issuer] of Object.entries(issuers)) {
    const twin = byIss.get(issuer.issuer)?.name ?? introspectingByIss.get(issuer.issuer)
    if (twin !== undefined)
      throw new Error(`issuers.${name}.issuer is that of issuers.${twin}: a token has one`)
    const allowPlainHttp = plainHttpIssuers.includes(name)
    if (issuer.introspection !== undefined) {
      introspecting.set(name, openIntrospector(name, issuer, allowPlainHttp, options))
      introspectingByIss.set(issuer.issuer, name)
      continue
    }
    if (issuer.platform === 'spiffe') {
      byIss.set(issuer.issuer, {
        name,
        options: issuer,
        keys: keysOfTrustDomain(name, issuer, options),
        clock: clockAhead(name, options.meter),
      })
      continue
    }
    if (issuer.jwksFile === undefined && issuer.jwksUrl === undefined)
      mustBeUrl(name, issuer, allowPlainHttp)
    const ca = issuer.caFile === undefined ? undefined : readCa(name, issuer.caFile)
    const make = () => {
      const source = keySourceOf(issuer, { ca, allowPlainHttp, timeoutMs: fetchTimeoutMs })
      return issuerKeys(name, issuer, source, options)
    }
    const keys = takeKeys ? takeKeys({ name, issuer, ca, allowPlainHttp }, make) : make()
    byIss.set(issuer.issuer, {
      name,
      options: issuer,
      keys,
      clock: clockAhead(name, options.meter),
    })
  }
  return {
    byIss,
    introspecting,
    introspectingByIss,
    start: async () => {
      const enough = new AbortController()
      const late = sleep(longestStartMs, undefined, { signal: enough.signal }).catch(() => {})
      try {
        await Promise.race([startAll([...byIss.values()]), late])
      } finally {
        enough.abort()
      }
    },
    status: () =>
      new Map(
        [...byIss.values()]
          .map(({ name, keys, clock }): [string, IssuerStatus & ClockStatus] => [
            name,
            { ...keys.status(), clockAheadSeconds: clock.seconds() },
          ])
          .concat([...introspecting].map(([name, one]) => [name, one.status()])),
      ),
    close: () => {
      if (!takeKeys) for (const { keys } of byIss.values()) keys.close()
      if (!options.takeIntrospector) for (const one of introspecting.values()) one.close()
    },
  }
}

const keysOfTrustDomain = (
  name: string,
  { issuer }: Issuer,
  { federated, clock }: TrustedIssuersOptions,
): IssuerKeys => {
  if (federated === undefined)
    throw new TypeError(`issuer ${name} is a trust domain, and no bundles are given`)
  return bundleKeys(issuer.slice('spiffe://'.length) as TrustDomain, federated, clock)
}

const openIntrospector = (
  name: string,
  issuer: Issuer,
  allowPlainHttp: boolean,
  options: TrustedIssuersOptions,
): Introspector => {
  const { introspection } = issuer
  if (introspection === undefined) throw new TypeError(`issuer ${name} has no introspection`)
  const ca = issuer.caFile === undefined ? undefined : readCa(name, issuer.caFile)
  const credentials = readCredentials(name, introspection)
  const at = { issuer: issuer.issuer, introspection, credentials, ca, allowPlainHttp }
  const make = () => introspector(name, issuer, askIssuer({ ...at, ...options }), options)
  // Secrets print as nothing, so their digest says whether they changed.
  const madeFrom = { name, issuer, ca, allowPlainHttp, credentials: credentials.digest }
  return options.takeIntrospector ? options.takeIntrospector(madeFrom, make) : make()
}

const startAll = async (issuers: TrustedIssuer[]): Promise<void> => {
  const work = async () => {
    for (let next = issuers.pop(); next; next = issuers.pop()) await next.keys.start()
  }
  await Promise.all(Array.from({ length: fetchesAtATime }, work))
}

const mustBeUrl = (name: string, { issuer }: Issuer, allowPlainHttp: boolean) => {
  const protocol = URL.canParse(issuer) ? new URL(issuer).protocol : ''
  if (protocol === 'https:' || (allowPlainHttp && protocol === 'http:')) return
  throw new Error(
    `issuers.${name}.issuer is not an https URL, so its keys cannot be discovered: set jwksUrl or jwksFile`,
  )
}

const readCa = (name: string, path: string): string => {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new Error(`issuers.${name}.caFile cannot be read: ${causeText(cause)}`, { cause })
  }
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text
  throw new Error(`issuers.${name}.caFile ${path} has no PEM certificate in it`)
}
