import type { Result } from './problem.ts'
import type { RequestHead } from './request-head.ts'
import type { Soon } from './step.ts'

/** What there is to look at of one request. */
export type InspectionInput = {
  readonly head: RequestHead
  /** Of the caller. */
  readonly address: string
  /** Random, unlike all others. Also decides about sampling, so a caller cannot choose it. */
  readonly decisionId: string
  /** `HTTP/1.1`, `HTTP/2.0`. */
  readonly protocol: string
  /** Whether the request announces a body. */
  readonly hasBody: boolean
  /** The first bytes of the body, without taking it. */
  readonly peek: (
    maxBytes: number,
  ) => Soon<Result<{ readonly bytes: Buffer; readonly whole: boolean }>>
}

/** One rule that matched, fit for a record: what the caller sent is cut short, and secrets are not in it. */
export type MatchedRule = {
  readonly id: number
  readonly message: string
  readonly severity?: string
  /** `ARGS:name`. */
  readonly variable: string
  /** The part that matched, cut, control bytes escaped; `[redacted]` where it may be a secret. */
  readonly matched: string
  /** A line for the configuration that makes this rule leave this variable alone. */
  readonly exclusion: string
}

/** What was learned of a request by its rules, for the record. */
export type InspectionRecord = {
  readonly mode: 'enforce' | 'detect'
  /** Score of the request and of the answer; 0 where the rules keep none. */
  readonly inboundScore: number
  readonly outboundScore: number
  readonly rules: readonly MatchedRule[]
  /** Matches that are not listed, as there were too many. */
  readonly moreMatches: number
  /** The rule that refused, or would have. */
  readonly decidedBy?: number
  /** The request was only looked at in part. */
  readonly partly?: true
}

/** A request under inspection: its record, and what is still to be asked about its answer. */
export type Inspection = {
  /** For the audit record; grows with the answer. Undefined when nothing was looked at. */
  readonly record: () => InspectionRecord | undefined
  /** Whether answers are looked at, too. */
  readonly answers: boolean
  /**
   * Looks at the head of the answer. Refuses with `attack-suspected` an answer that must not go out.
   *
   * @returns How much of the body is to be held back and shown to `body`; 0: none.
   */
  readonly head: (
    status: number,
    headers: readonly string[],
  ) => Soon<Result<{ readonly maxBytes: number }>>
  /** Looks at the body, or at its beginning. To be called without one, too, once the answer has ended. */
  readonly body: (bytes: Buffer | undefined, whole: boolean) => Soon<Result<void>>
}

/** Refuses with `attack-suspected`, its cause an `InspectionRecord`, or with `body-too-large`, `request-malformed`, or with what `peek` refuses with. */
export type Inspect = (input: InspectionInput) => Soon<Result<Inspection>>
