import { join } from 'node:path'
import type { Clock } from '#contract/clock'
import type { SpiffeId, TrustDomain } from '#contract/spiffe-id'
import type { Log } from '#contract/telemetry'
import type { ExchangeConfig } from '#config/schema'
import { issuedJournalIn, noIssuedJournal } from './issued/journal.ts'
import type { RegisterKeeping } from './issued/register.ts'
import { noRevocations, revocationsIn } from './issued/revocations.ts'
import type { InspectionKeyMaking, KeyLifetimes } from './ca/make-keys.ts'
import type { JoinTokenFile } from './join-token-files.ts'
import { diskKeyStore } from './keys/disk.ts'
import type { KeyStore } from './keys/key-store.ts'
import { memoryKeyStore } from './keys/memory.ts'
import { writeAtomically } from '#http/write-atomically'

const secondMs = 1000
const hourMs = 3_600_000
const dayMs = 24 * hourMs

/** Who is who. The configuration was checked: every ID in it is one. */
export type Parties = {
  readonly trustDomain: TrustDomain
  readonly spiffeId: SpiffeId
  readonly gateways: ReadonlySet<SpiffeId>
  /** Whom nobody becomes by a token from outside. */
  readonly reserved: ReadonlySet<SpiffeId>
  readonly joinTokenFiles: readonly JoinTokenFile[]
  /** Who may hold a certificate: whom a join token may be for. */
  readonly joinable: ReadonlySet<SpiffeId>
}

export const partiesOf = (config: ExchangeConfig): Parties => {
  const spiffeId = config.spiffeId as SpiffeId
  const gateways = config.gateways as SpiffeId[]
  const joinTokenFiles = config.joinTokens as JoinTokenFile[]
  return {
    trustDomain: config.trustDomain as TrustDomain,
    spiffeId,
    gateways: new Set(gateways),
    reserved: new Set([spiffeId, ...gateways]),
    joinTokenFiles,
    joinable: new Set([...gateways, ...joinTokenFiles.map((file) => file.spiffeId)]),
  }
}

export const keyLifetimesOf = ({ ca, lifetimes }: ExchangeConfig): KeyLifetimes => ({
  rootMs: ca.rootLifetimeDays * dayMs,
  intermediateMs: ca.intermediateLifetimeHours * hourMs,
  jwtKeyMs: ca.jwtKeyLifetimeHours * hourMs,
  longestX509SvidMs: lifetimes.x509SvidSeconds * secondMs,
  longestTokenMs: lifetimes.jwtSvidSeconds * secondMs,
})

export const inspectionKeysOf = ({ inspection }: ExchangeConfig): InspectionKeyMaking | undefined =>
  inspection && {
    hosts: inspection.hosts,
    caMs: inspection.caLifetimeDays * dayMs,
    leafMs: inspection.leafSeconds * secondMs,
  }

export const keyStoreOf = ({ ca }: ExchangeConfig): KeyStore =>
  ca.store === 'memory' ? memoryKeyStore() : diskKeyStore(ca.store.directory)

/**
 * What was issued and what was revoked before the start: beside stored keys, which are all that makes a token of before a
 * restart good.
 *
 * @throws Error that names a damaged file and the remedy.
 */
export const registerKeepingOf = async (
  { ca: { store }, maxIssued }: ExchangeConfig,
  clock: Clock,
  log: Log,
): Promise<RegisterKeeping> => {
  const isKept = store !== 'memory'
  const revocations = isKept ? revocationsIn(store.directory, maxIssued, log) : noRevocations
  const journal = isKept ? issuedJournalIn(store.directory, maxIssued, clock, log) : noIssuedJournal
  const [revoked, issued] = [await revocations.load(clock()), await journal.load()]
  return { revocations, revoked, journal, issued }
}

/** Beside stored keys: the roots that a gateway's `caFile` needs for its first connection. They are no secret. */
const rootsFileName = 'roots.pem'
/** Likewise the CA of inspected hosts, for workloads' trust stores. */
const inspectionFileName = 'inspection-ca.pem'

type Publish = (pem: string) => Promise<void>

export const publishRootsOf = (config: ExchangeConfig): Publish =>
  publisherOf(config, rootsFileName)
export const publishInspectionOf = (config: ExchangeConfig): Publish =>
  publisherOf(config, inspectionFileName)

const publisherOf = ({ ca: { store } }: ExchangeConfig, fileName: string): Publish =>
  store === 'memory'
    ? async () => {}
    : (pem) => writeAtomically(join(store.directory, fileName), pem, 0o644)

/** What works and still is not what it seems. */
export const warnOfSettings = (config: ExchangeConfig, log: Log): void => {
  const { ca, lifetimes } = config
  if (ca.store === 'memory')
    log.warn(
      { setting: 'ca.store' },
      'keys are kept in memory: after a restart nothing that was issued is trusted',
    )
  // SPIRE's rule: else an SVID would be cut short by its issuer, which is replaced when a sixth of its life is left.
  if (lifetimes.x509SvidSeconds * secondMs > (ca.intermediateLifetimeHours * hourMs) / 6)
    log.warn(
      { setting: 'lifetimes.x509SvidSeconds' },
      'longer than a sixth of ca.intermediateLifetimeHours: some SVIDs will be shorter',
    )
}
