import type { Macro } from '../engine/macro.ts'
import type { OperatorName } from '../operators/table.ts'
import type { TransformationName } from '../transformations/table.ts'

/** Where something was written. */
export type Place = { readonly file: string; readonly line: number }

/** A directive with its words, quotes taken off. */
export type Directive = Place & { readonly name: string; readonly words: readonly string[] }

/** A fault in a rule file. `message` begins with `FILE:LINE:`. */
export class SecLangError extends Error {
  override readonly name = 'SecLangError'
  readonly place: Place
  constructor(place: Place, message: string) {
    super(`${place.file}:${place.line}: ${message}`)
    this.place = place
  }
}

/** Which entries of a collection: all, one key (lower-case), or those whose key matches. */
export type Selector =
  | { readonly kind: 'all' }
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'pattern'; readonly source: string; readonly test: (key: string) => boolean }

/** One entry of a rule's list of variables. */
export type Target = {
  /** Upper-case, as the table of variables has it. */
  readonly variable: string
  readonly selector: Selector
  /** `&NAME`: how many there are. */
  readonly count: boolean
  /** What `!NAME:key` takes out of this entry again. */
  readonly except: readonly Selector[]
}

export type OperatorUse = {
  readonly name: OperatorName
  readonly negated: boolean
  /** As written; macros in it are expanded for every request. */
  readonly argument: Macro
  readonly source: string
}

/** What a match does besides deciding about the request; in the order written. */
export type Effect =
  | {
      readonly kind: 'setvar'
      readonly collection: string
      readonly name: Macro
      readonly change: VariableChange
    }
  | { readonly kind: 'ctl'; readonly change: Control }
  | { readonly kind: 'initcol'; readonly collection: string; readonly key: Macro }
  | {
      readonly kind: 'expirevar'
      readonly collection: string
      readonly name: Macro
      readonly seconds: Macro
    }
  | {
      readonly kind: 'deprecatevar'
      readonly collection: string
      readonly name: Macro
      readonly by: number
      readonly everySeconds: number
    }

export type VariableChange =
  | { readonly how: 'set' | 'add' | 'subtract'; readonly value: Macro }
  | { readonly how: 'unset' }

/** Rule ids that a removal names. Both ends included. */
export type IdRange = readonly [from: number, to: number]

/** A run-time change to how the rest of the request is treated. */
export type Control =
  | { readonly what: 'removeById'; readonly ids: readonly IdRange[] }
  | {
      readonly what: 'removeByTag' | 'removeByMsg'
      readonly pattern: string
      readonly test: (text: string) => boolean
    }
  | {
      readonly what: 'removeTargetById'
      readonly ids: readonly IdRange[]
      readonly target: TargetRemoval
    }
  | {
      readonly what: 'removeTargetByTag' | 'removeTargetByMsg'
      readonly pattern: string
      readonly test: (text: string) => boolean
      readonly target: TargetRemoval
    }
  | { readonly what: 'ruleEngine'; readonly mode: EngineMode }
  | { readonly what: 'requestBodyProcessor'; readonly processor: string }
  | {
      readonly what: 'forceRequestBodyVariable' | 'requestBodyAccess' | 'responseBodyAccess'
      readonly on: boolean
    }
  | { readonly what: 'requestBodyLimit' | 'responseBodyLimit'; readonly bytes: number }
  /** Changes what ModSecurity logs. The gateway writes one record of its own for every request, whatever rules say. */
  | { readonly what: 'logging' }

export type TargetRemoval = { readonly variable: string; readonly selector: Selector }

export type EngineMode = 'On' | 'DetectionOnly' | 'Off'

export type Disruption =
  | { readonly kind: 'pass' }
  | { readonly kind: 'block' }
  | { readonly kind: 'deny' | 'drop' }
  | { readonly kind: 'allow'; readonly scope: 'all' | 'phase' | 'request' }
  | { readonly kind: 'redirect' | 'proxy'; readonly target: Macro }

/** The actions of one rule or link, read but not yet joined with the defaults of its phase. */
export type Actions = {
  readonly id?: number
  readonly phase?: Phase
  readonly disruption?: Disruption
  readonly status?: number
  readonly transformations: readonly (TransformationName | 'none')[]
  readonly multiMatch: boolean
  readonly capture: boolean
  readonly chain: boolean
  readonly log?: boolean
  readonly auditLog?: boolean
  readonly message?: Macro
  readonly logData?: Macro
  readonly severity?: Severity
  readonly tags: readonly Macro[]
  readonly version?: string
  readonly skip?: number
  readonly skipAfter?: string
  readonly effects: readonly Effect[]
}

export const phases = [1, 2, 3, 4, 5] as const
export type Phase = (typeof phases)[number]

export const severities = [
  'EMERGENCY',
  'ALERT',
  'CRITICAL',
  'ERROR',
  'WARNING',
  'NOTICE',
  'INFO',
  'DEBUG',
] as const
export type Severity = (typeof severities)[number]
