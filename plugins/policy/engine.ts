import type { PolicyDecision, PolicyEngine, PolicyInput } from '#contract/policy'
import { oncePer } from '#contract/once-per'
import { pass, refuse, type Result } from '#contract/problem'
import type { Log, Meter } from '#contract/telemetry'
import type { PolicyBundle } from './bundle.ts'
import { readDecision, type PolicyResult } from './decision.ts'
import { decisionMemo } from './decision-memo.ts'
import type { Evaluate } from './evaluate.ts'
import type { PolicyOptions } from './options.ts'
import { maxBytesOfRest, textOfReads } from './reads.ts'

export type PolicyEngineParts = {
  readonly meter: Meter
  readonly log: Log
}

/**
 * Decides by a bundle, in process and at once.
 *
 * @returns An engine that refuses with `policy-denied`, its `cause` the whole decision, for the record, and with
 *   `policy-failed` when the policy broke. One that has broken is replaced by a fresh instance.
 */
export const policyEngine = (
  bundle: PolicyBundle,
  { maxInputBytes }: Pick<PolicyOptions, 'maxInputBytes'>,
  { meter, log }: PolicyEngineParts,
): PolicyEngine => {
  const { revision } = bundle
  const allowed = meter.counter('sallyport_policy_decisions_total', { decision: 'allow' })
  const denied = meter.counter('sallyport_policy_decisions_total', { decision: 'deny' })
  const failed = meter.counter('sallyport_policy_decisions_total', { decision: 'failed' })
  const duration = meter.histogram('sallyport_policy_eval_duration_seconds', {})
  let evaluate: Evaluate | undefined = bundle.instantiate()
  let isBroken = false
  const memo = decisionMemo()
  const textOfRead = bundle.reads && textOfReads(bundle.reads)
  const bytesOfRest = bundle.reads && maxBytesOfRest(bundle.reads)

  const count = (decided: Result<PolicyDecision>): Result<PolicyDecision> => {
    if (decided.ok) allowed()
    else denied()
    return decided
  }

  const conclude = ({ allow, reasons }: PolicyResult): Result<PolicyDecision> => {
    const decision = Object.freeze({ allow, reasons: Object.freeze(reasons), revision })
    return allow ? pass(decision) : refuse('policy-denied', { cause: decision })
  }

  const concluded = oncePer((results: object) => conclude(readDecision(results) ?? decisionInvalid))

  const fail = (cause: unknown): Result<PolicyDecision> => {
    evaluate = undefined
    failed()
    if (!isBroken) log.error({ revision, reason: reasonOf(cause) }, 'the policy broke')
    isBroken = true
    return refuse('policy-failed', { cause: `policy ${revision}: ${reasonOf(cause)}` })
  }

  const decideAnew = (text: string): Result<PolicyDecision> => {
    evaluate ??= bundle.instantiate()
    const results = evaluate(text)
    isBroken = false
    return typeof results === 'object' && results !== null
      ? concluded(results)
      : conclude(decisionInvalid)
  }

  /** Without the whole text: whether it is one that a policy may be given. */
  const isSurelySound = (input: PolicyInput, read: string): boolean =>
    bytesOfRest !== undefined &&
    read.length * maxBytesOfCodeUnit + bytesOfRest(input) <= maxInputBytes &&
    !read.includes('\\ud')

  const decide = (input: PolicyInput): Result<PolicyDecision> => {
    const beganMs = performance.now()
    try {
      const read = textOfRead?.(input)
      const isSure = read !== undefined && isSurelySound(input, read)
      let whole: string | undefined
      const text = () => (whole ??= JSON.stringify(input))
      const fault = isSure ? undefined : faultOf(text(), maxInputBytes)
      // Two callers whom the policy cannot tell apart are decided alike.
      const key = read !== undefined && fault === undefined ? read : text()
      const known = memo.get(key)
      if (known !== undefined) return count(known)
      const decided = fault ? conclude(fault) : decideAnew(text())
      memo.set(key, decided)
      duration((performance.now() - beganMs) / 1000)
      return count(decided)
    } catch (cause) {
      duration((performance.now() - beganMs) / 1000)
      return fail(cause)
    }
  }
  return { decide, stands: count, revision }
}

const denial = (code: string, message: string): PolicyResult => ({
  allow: false,
  reasons: [{ code, class: 'policy', message }],
})

// Half of a UTF-16 pair, as a claim may hold it and as `JSON.stringify` escapes it: OPA cannot read that and aborts.
const loneSurrogate = /(?:^|[^\\])(?:\\\\)*\\ud/
const faultOf = (text: string, maxBytes: number): PolicyResult | undefined => {
  if (text.length * maxBytesOfCodeUnit > maxBytes && Buffer.byteLength(text) > maxBytes)
    return inputTooLarge
  return text.includes('\\ud') && loneSurrogate.test(text) ? inputNotUnicode : undefined
}
const maxBytesOfCodeUnit = 3
const inputNotUnicode = denial(
  'input-not-unicode',
  'a text in the input is not well-formed Unicode',
)
const inputTooLarge = denial(
  'input-too-large',
  'there is more to look at than the policy may be given',
)
const decisionInvalid = denial('decision-invalid', 'the policy gave nothing that is a decision')

/** The module aborts with strings, and the library throws plain objects. */
const reasonOf = (cause: unknown): string =>
  cause instanceof Error ? `${cause.name}: ${cause.message}` : JSON.stringify(cause)
