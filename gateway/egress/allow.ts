import type { EgressAllowlist, EgressDecision } from '#contract/egress'
import type { Step } from '#contract/step'
import type { Workload } from './identify.ts'
import type { Ask } from './read-ask.ts'

/** Asks the guard whether this workload may go there. Without a reason to say yes it says no. */
export const allow =
  (
    allowlist: EgressAllowlist,
  ): Step<{ readonly ask: Ask; readonly workload: Workload }, EgressDecision> =>
  ({ ask, workload }) =>
    allowlist.decide({
      spiffeId: workload.spiffeId,
      ...ask.authority,
      ask:
        ask.kind === 'tunnel'
          ? { kind: 'tunnel' }
          : { kind: 'request', method: ask.head.method, path: ask.head.path },
    })
