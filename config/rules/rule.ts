import type {
  AwsCaller,
  Client,
  Egress,
  EgressCredential,
  ExchangeConfig,
  Federation,
  Grant,
  Identities,
  Issuer,
  LegacyCaller,
  Route,
  Upstream,
} from '../schema.ts'
import type { Finding } from '../faults.ts'
import type { NamedFile } from '../validate.ts'
import { parentOf, pointerTo, valueAt } from '../pointer.ts'

export type ConfigKind = 'gateway' | 'exchange'

/** One part of a configuration, with its place in it. */
export type Entry<Value> = {
  readonly name: string
  readonly pointer: string
  readonly value: Value
}

/** A file that a configuration names, by its absolute path. */
export type ConfigFile = NamedFile & { readonly path: string }

/**
 * A configuration as the rules see it: only what has the right shape, so that a fault in one route keeps no rule from
 * judging the others, and no rule meets a value that it cannot read.
 */
export type Subject = {
  readonly kind: ConfigKind
  readonly issuers: readonly Entry<Issuer>[]
  readonly identities: readonly Entry<Identities[number]>[]
  readonly routes: readonly Entry<Route>[]
  readonly upstreams: readonly Entry<Upstream>[]
  readonly joinTokens: readonly Entry<ExchangeConfig['joinTokens'][number]>[]
  readonly clients: readonly Entry<Client>[]
  readonly grants: readonly Entry<Grant>[]
  readonly egressRules: readonly Entry<Egress['rules'][number]>[]
  readonly egressDenials: readonly Entry<Egress['deny'][number]>[]
  readonly egressAllowed: readonly Entry<Egress['allow'][number]>[]
  readonly egressCredentials: readonly Entry<EgressCredential>[]
  /** All that are written; none, if there is no section. Undefined when it cannot be read. */
  readonly egressCredentialNames: readonly string[] | undefined
  /** Whether they are written, sound or not. */
  readonly hasEgress: boolean
  readonly hasEgressListener: boolean
  /** Other trust domains, by their names. */
  readonly federated: readonly Entry<Federation['trustDomains'][string]>[]
  readonly legacyCallers: readonly Entry<LegacyCaller>[]
  readonly awsCallers: readonly Entry<AwsCaller>[]
  readonly tokenReviews: readonly Entry<ExchangeConfig['tokenReviews'][string]>[]
  /** All that are written, sound or not. Undefined when the section cannot be read. */
  readonly issuerNames: readonly string[] | undefined
  readonly upstreamNames: readonly string[] | undefined
  readonly files: readonly ConfigFile[]
  /** Pointers to all that is in a list or map, sound or not. */
  readonly pointersIn: (
    section: 'routes' | 'identities' | 'issuers' | 'clients' | 'grants' | 'listeners',
  ) => readonly string[]
  /** Values by pointer, if they are there, of this type, and nothing is wrong with them. */
  readonly text: (pointer: string) => string | undefined
  /** Whether something stands there, sound or not. */
  readonly has: (pointer: string) => boolean
  readonly texts: (pointer: string) => readonly string[]
  readonly number: (pointer: string) => number | undefined
  readonly flag: (pointer: string) => boolean | undefined
}

type PlacedDestination = {
  readonly pointer: string
  readonly value: Egress['rules'][number]['destinations'][number]
}

/** All destinations of the way out: those for all, and those of each rule. */
export const egressDestinations = ({
  egressRules,
  egressAllowed,
}: Subject): readonly PlacedDestination[] => [
  ...egressAllowed.map(({ pointer, value }) => ({ pointer, value })),
  ...egressRules.flatMap(({ pointer, value }) =>
    value.destinations.map((destination, i) => ({
      pointer: `${pointer}/destinations/${i}`,
      value: destination,
    })),
  ),
]

/** So many pairs are told of; more would only be noise. */
export const maxPairs = 100

/** Judges what a schema cannot. One rule does not repeat what another says. */
export type Rule = (subject: Subject) => readonly Finding[]

/** @param unsound Pointers to what the schema refused. */
export const subjectOf = (
  kind: ConfigKind,
  config: unknown,
  unsound: readonly string[],
  files: readonly ConfigFile[],
): Subject => {
  const refused = new Set(unsound)
  const harmed = new Set<string>() // what has something refused in it
  for (const pointer of unsound)
    for (let above = pointer; above !== ''; above = parentOf(above)) harmed.add(above)

  const isSound = (pointer: string): boolean => {
    if (harmed.has(pointer)) return false
    for (let above = pointer; above !== ''; above = parentOf(above))
      if (refused.has(above)) return false
    return true
  }
  const sound = (pointer: string): unknown =>
    isSound(pointer) ? valueAt(config, pointer) : undefined

  const entriesOf = <Value>(section: string, nameOf?: (value: Value) => string) =>
    entriesAt(pointerTo('', section), nameOf)
  const entriesAt = <Value>(pointer: string, nameOf?: (value: Value) => string) => {
    if (refused.has(pointer)) return []
    return Object.entries(valueAt(config, pointer) ?? {}).flatMap(([key]) => {
      const value = sound(pointerTo(pointer, key)) as Value | undefined // the schema saw to it
      if (value === undefined) return []
      return [{ name: nameOf?.(value) ?? key, pointer: pointerTo(pointer, key), value }]
    })
  }
  const namesIn = (section: string): readonly string[] | undefined => {
    const pointer = pointerTo('', section)
    const value = valueAt(config, pointer)
    return refused.has(pointer) || typeof value !== 'object' || value === null
      ? undefined
      : Object.keys(value)
  }

  return {
    kind,
    issuers: entriesOf<Issuer>('issuers'),
    identities: entriesOf<Identities[number]>('identities', ({ name }) => name),
    routes: entriesOf<Route>('routes', ({ id }) => id),
    upstreams: entriesOf<Upstream>('upstreams'),
    joinTokens: entriesOf<ExchangeConfig['joinTokens'][number]>('joinTokens'),
    clients: entriesOf<Client>('clients'),
    grants: entriesOf<Grant>('grants', ({ name }) => name),
    egressRules: entriesAt<Egress['rules'][number]>('/egress/rules', ({ id }) => id),
    egressDenials: entriesAt<Egress['deny'][number]>('/egress/deny', ({ id }) => id),
    egressAllowed: entriesAt<Egress['allow'][number]>('/egress/allow'),
    egressCredentials: entriesAt<EgressCredential>('/egress/credentials'),
    egressCredentialNames: refused.has('/egress/credentials')
      ? undefined
      : Object.keys(valueAt(config, '/egress/credentials') ?? {}),
    hasEgress: valueAt(config, '/egress') !== undefined,
    hasEgressListener: valueAt(config, '/listeners/egress') !== undefined,
    federated: entriesAt<Federation['trustDomains'][string]>('/federation/trustDomains'),
    legacyCallers: entriesAt<LegacyCaller>('/legacy/callers'),
    awsCallers: entriesAt<AwsCaller>('/aws/callers'),
    tokenReviews: entriesOf<ExchangeConfig['tokenReviews'][string]>('tokenReviews'),
    issuerNames: namesIn('issuers'),
    upstreamNames: namesIn('upstreams'),
    files,
    pointersIn: (section) => {
      const pointer = pointerTo('', section)
      return (namesIn(section) ?? []).map((name) => pointerTo(pointer, name))
    },
    has: (pointer) => valueAt(config, pointer) !== undefined,
    text: (pointer) => {
      const value = sound(pointer)
      return typeof value === 'string' ? value : undefined
    },
    texts: (pointer) => {
      const value = sound(pointer)
      return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
    },
    number: (pointer) => {
      const value = sound(pointer)
      return typeof value === 'number' ? value : undefined
    },
    flag: (pointer) => {
      const value = sound(pointer)
      return typeof value === 'boolean' ? value : undefined
    },
  }
}
