import type { EgressAllowlist, EgressDecision, EgressTarget } from '#contract/egress'
import { admitted, refuse } from '#contract/problem'
import type { Guard, Step } from '#contract/step'
import type { Door } from '../answer.ts'
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

/** Refuses with `upgrade-refused` where the rule lets no request become a WebSocket. */
export const upgradable: Guard<{
  readonly door: Door
  readonly decision: EgressDecision
}> = ({ door, decision }) =>
  door !== 'upgrade' || decision.webSockets
    ? admitted
    : refuse('upgrade-refused', {
        detail: `Rule \`${decision.rule}\` lets no request there become a WebSocket.`,
      })

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
