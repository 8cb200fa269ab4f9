import type { EgressAllowlist, EgressDecision, EgressTarget } from '#contract/egress'
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
      ask: targetOf(ask),
    })

const targetOf = (ask: Ask): EgressTarget['ask'] => {
  if (ask.kind === 'tunnel') return { kind: 'tunnel' }
  const { method, path } = ask.head
  return ask.isInspected
    ? { kind: 'inspected', method, path }
    : { kind: 'request', scheme: ask.scheme, method, path }
}
