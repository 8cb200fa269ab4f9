import type { EgressDecision } from '#contract/egress'
import type { Inspect, Inspection } from '#contract/inspection'
import { pass, type Result } from '#contract/problem'
import type { Soon, Step } from '#contract/step'
import { begin, type KnownOf } from '../../compose.ts'
import { allow } from '../allow.ts'
import { authorise } from '../authorise.ts'
import { giveCredential } from '../credentials/give.ts'
import { limitRequests, takeSlot } from '../limit.ts'
import type { EgressParts } from '../parts.ts'
import { cutOff, recordable } from '../pipeline.ts'
import type { Ask } from '../read-ask.ts'
import { readRequest } from './read-request.ts'
import type { InspectedReceived } from './tunnel.ts'

/**
 * The way of a request within TLS that ends here, top to bottom. Its tunnel has gone the way of all tunnels before. What
 * passes goes to the tunnel's own destination (`destination-client.ts`) by the same forwarder as plain requests.
 */
export const inspected = (parts: EgressParts) =>
  begin<InspectedReceived>()
    .guard('audit', recordable(parts.audit))
    .learn('ask', readRequest(parts)) // Host is CONNECT's host is the server name
    .learn('workload', ({ tunnel }) => pass(tunnel.workload))
    .guard('cut off', cutOff(parts))
    .learn('decision', allow(parts.allowlist)) // now with method and path
    .learn('quota', limitRequests(parts.requestLimits))
    .learn('policy', authorise(parts.policy))
    .learn('slot', takeSlot(parts.limits, parts.accounts))
    .learn('inspection', inspect(parts.firewalls))
    .learn('credential', giveCredential(parts.credentials)) // what the rule adds; the firewall does not see it

/** What is known of what passed. */
export type InspectedAdmitted = KnownOf<ReturnType<typeof inspected>>

type Needs = InspectedReceived & {
  readonly ask: Ask
  readonly workload: InspectedReceived['tunnel']['workload']
}

/** Asks the firewall of the workload's rule about the head and a bounded beginning of the body, which stays where it is. */
const inspect =
  (
    firewalls: ReadonlyMap<string, Inspect>,
  ): Step<Needs & { readonly decision: EgressDecision }, Inspection | undefined> =>
  ({ ask, raw, peer, decision, body, decisionId }): Soon<Result<Inspection | undefined>> => {
    const firewall = firewalls.get(decision.rule)
    if (!firewall || ask.kind !== 'request') return pass(undefined)
    return firewall({
      head: ask.head,
      address: peer.address,
      decisionId,
      protocol: `HTTP/${raw.httpVersion}`,
      hasBody: body.expected,
      peek: body.peek,
    })
  }
