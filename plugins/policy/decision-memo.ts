import type { PolicyDecision } from '#contract/policy'
import type { Result } from '#contract/problem'

/** Longer inputs are decided anew each time. */
const maxInputChars = 4096
/** Of one generation. Both together hold a few megabytes at most. */
const maxDecisions = 1024

export type DecisionMemo = {
  /** @param input As JSON. */
  readonly get: (input: string) => Result<PolicyDecision> | undefined
  readonly set: (input: string, decision: Result<PolicyDecision>) => void
}

/**
 * Remembers what was decided, by the whole input. A policy is a pure function of it: a bundle that asks its host for
 * anything, the time or chance among it, is not loaded. The time in the input is in whole seconds, so who asks the same
 * thing again within a second is answered from here, which costs a fifth of an evaluation.
 *
 * Two generations, so that nothing is ever deleted singly: what is still asked for when the younger one is full moves over.
 */
export const decisionMemo = (): DecisionMemo => {
  let young = new Map<string, Result<PolicyDecision>>()
  let old = new Map<string, Result<PolicyDecision>>()
  const set: DecisionMemo['set'] = (input, decision) => {
    if (input.length > maxInputChars) return
    if (young.size >= maxDecisions) {
      old = young
      young = new Map()
    }
    young.set(input, decision)
  }
  return {
    set,
    get: (input) => {
      if (input.length > maxInputChars) return undefined
      const known = young.get(input)
      if (known !== undefined) return known
      const older = old.get(input)
      if (older !== undefined) set(input, older)
      return older
    },
  }
}
