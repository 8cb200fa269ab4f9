import type { GeoDatabase } from '../geo-database.ts'
import type { Macro } from '../engine/macro.ts'
import type { Test } from '../operators/operator.ts'
import type { TransformationName } from '../transformations/table.ts'
import type {
  Disruption,
  Effect,
  EngineMode,
  OperatorUse,
  Phase,
  Place,
  Severity,
  Target,
} from './syntax.ts'

/** One condition of a rule. A rule that is not a chain has one. */
export type Link = Place & {
  readonly targets: readonly Target[]
  /** Undefined for SecAction, which always matches. */
  readonly operator: OperatorUse | undefined
  /** Compiles the operator with an argument whose macros are expanded. @throws TypeError */
  readonly compile: (argument: string) => Test
  /** The operator, if its argument has no macros. */
  readonly test: Test | undefined
  readonly transformations: readonly TransformationName[]
  readonly multiMatch: boolean
  readonly capture: boolean
  readonly effects: readonly Effect[]
}

/** A rule with its links, joined with the defaults of its phase. */
export type Rule = Place & {
  readonly id: number
  readonly phase: Phase
  readonly links: readonly Link[]
  /** Never `block`: that was replaced by the default of the phase. */
  readonly disruption: Disruption
  readonly status: number
  readonly log: boolean
  readonly auditLog: boolean
  readonly message: Macro | undefined
  readonly logData: Macro | undefined
  readonly severity: Severity | undefined
  readonly tags: readonly Macro[]
  readonly version: string | undefined
  readonly skip: number
  readonly skipAfter: string | undefined
}

export type Entry =
  | { readonly kind: 'rule'; readonly rule: Rule }
  | { readonly kind: 'marker'; readonly name: string }

/** What directives other than rules set. Bytes and counts as ModSecurity names them. */
export type Settings = {
  readonly mode: EngineMode
  readonly requestBodyAccess: boolean
  readonly requestBodyLimit: number
  readonly requestBodyLimitAction: 'Reject' | 'ProcessPartial'
  readonly jsonDepthLimit: number
  readonly argumentsLimit: number
  readonly uploadFileLimit: number
  readonly responseBodyAccess: boolean
  readonly responseBodyLimit: number
  readonly responseBodyLimitAction: 'Reject' | 'ProcessPartial'
  readonly responseBodyMimeTypes: readonly string[]
  /** How long a collection is kept after its last change. */
  readonly collectionTimeoutSeconds: number
  /** What `@geoLookup` looks in: a file of MaxMind's format. */
  readonly geoLookupDb: GeoDatabase | undefined
  /** What Project Honey Pot gave to ask its list by `@rbl`. */
  readonly httpBlKey: string | undefined
}

export const defaultSettings: Settings = {
  mode: 'On',
  requestBodyAccess: false,
  requestBodyLimit: 134_217_728,
  requestBodyLimitAction: 'Reject',
  jsonDepthLimit: 512,
  argumentsLimit: 1000,
  uploadFileLimit: 100,
  responseBodyAccess: false,
  responseBodyLimit: 524_288,
  responseBodyLimitAction: 'Reject',
  responseBodyMimeTypes: ['text/plain', 'text/html'],
  collectionTimeoutSeconds: 3600,
  geoLookupDb: undefined,
  httpBlKey: undefined,
}

/** Something that loads but does nothing here, and why. */
export type Note = Place & { readonly what: string; readonly why: string }

/** All rule files, read. */
export type LoadedRules = {
  readonly entries: readonly Entry[]
  readonly settings: Settings
  readonly notes: readonly Note[]
  /** Files read, in order. */
  readonly files: readonly string[]
  /** SecComponentSignature. */
  readonly signatures: readonly string[]
}
