import type { EngineMode, IdRange, Severity, TargetRemoval } from '../seclang/syntax.ts'
import type { BodyFacts } from './body-facts.ts'
import type { Entries } from './entries.ts'
import type { KeptCollections } from './kept-collections.ts'
import type { RequestFacts } from './request.ts'
import type { Store } from './store.ts'

/** What is known of the answer, as the variables have it. */
export type ResponseFacts = {
  readonly status: number
  readonly protocol: string
  readonly headers: Entries
  readonly headerNames: Entries
  readonly contentType: string
  /** Undefined where the body is not looked at. */
  readonly body: string | undefined
  readonly bodyLength: number
}

/** One value that a rule matched. */
export type MatchedValue = {
  /** `ARGS:name`. */
  readonly name: string
  /** As the operator saw it: transformed. */
  readonly value: string
}

/** A rule that matched and is not `nolog`. */
export type RuleMatch = {
  readonly ruleId: number
  readonly file: string
  readonly line: number
  readonly phase: number
  readonly message: string
  readonly logData: string
  readonly severity: Severity | undefined
  readonly tags: readonly string[]
  readonly version: string | undefined
  readonly matched: readonly MatchedValue[]
  /** It would stop the request, or does. */
  readonly disruptive: boolean
}

/** What the rules decided. */
export type Interruption = {
  readonly ruleId: number
  readonly phase: number
  readonly action: 'deny' | 'drop' | 'redirect'
  readonly status: number
  readonly location?: string
}

/** Rules that `ctl` took out for the rest of the request. */
export type Removal = {
  readonly ids?: readonly IdRange[]
  readonly tag?: (text: string) => boolean
  readonly msg?: (text: string) => boolean
  /** Without it the whole rule goes. */
  readonly target?: TargetRemoval
}

/** All that a transaction remembers. One object a request; nothing of it is shared. */
export type State = {
  readonly request: RequestFacts
  readonly startedMs: number
  body: BodyFacts
  response: ResponseFacts
  mode: EngineMode
  bodyProcessor: string
  forceRequestBodyVariable: boolean
  requestBodyAccess: boolean
  responseBodyAccess: boolean
  requestBodyLimit: number
  responseBodyLimit: number
  requestBodyOverLimit: boolean
  responseBodyOverLimit: boolean
  /** ARGS: of the query, then of the body. */
  args: Entries
  argNames: Entries
  argsCombinedSize: number
  /** Of all arguments, headers and cookies as they came, before any was cut. */
  longestValueBytes: number
  readonly tx: Store
  /** IP, GLOBAL, SESSION, USER, RESOURCE as `initcol` opened them, which outlive the request; ENV, which does not. */
  readonly collections: Map<string, Store>
  readonly kept: KeptCollections
  /** GEO: what `@geoLookup` found. */
  geo: Entries
  /** What an operator waits for, while it waits. */
  waiting: Promise<void> | undefined
  matchedVar: MatchedValue | undefined
  matchedVars: MatchedValue[]
  removals: Removal[]
  highestSeverity: number
  readonly matches: RuleMatch[]
  /** Matches beyond what is kept. */
  droppedMatches: number
  interruption: Interruption | undefined
  /** What would have been done, if the mode were On. */
  detection: Interruption | undefined
  allowed: 'all' | 'phase' | 'request' | undefined
  phase: number
  /** Set while a rule is logged, for RULE:id and its like. */
  rule: { readonly id: number; readonly message: string; readonly severity: string } | undefined
}
