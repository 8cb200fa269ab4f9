import type { EgressAllowlist, EgressDecision } from '#contract/egress'
import type { Step } from '#contract/step'
import type { Authority } from './authority.ts'
import type { Workload } from './identify.ts'
import type { Ask } from './read-ask.ts'

/** Where it goes, by name: what was asked for, with the port that was decided on. */
export const placeOf = ({
  ask: { authority },
  decision: { port },
}: {
  readonly ask: Ask
  readonly decision: Pick<EgressDecision, 'port'>
}): Authority => ({ ...authority, port })

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
          : {
              kind: 'request',
              scheme: ask.scheme,
              method: ask.head.method,
              path: ask.head.path,
            },
    })
