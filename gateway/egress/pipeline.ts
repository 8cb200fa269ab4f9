import type { AuditSink } from '#contract/audit-event'
import type { Guard } from '#contract/step'
import { begin, type KnownOf } from '../compose.ts'
import { allow, upgradable } from './allow.ts'
import { authorise } from './authorise.ts'
import { certify } from './certify.ts'
import { connect } from './connect.ts'
import { giveCredential } from './credentials/give.ts'
import { findAddresses } from './find-addresses.ts'
import { identify, type Workload } from './identify.ts'
import { limitRequests, takeSlot } from './limit.ts'
import type { EgressParts } from './parts.ts'
import { quarantinedOut } from './quarantined.ts'
import { readAsk } from './read-ask.ts'
import type { EgressReceived } from './received.ts'

/**
 * A workload's way out, top to bottom. What passes it goes through the connection that the last step opened: a tunnel once
 * its first bytes name the same host (`peek-client-hello.ts`, `tunnels.ts`), or one request (`forward.ts`); or, where TLS is
 * looked into, many, each of which has a way of its own (`inspection/pipeline.ts`).
 */
export const egress = (parts: EgressParts) =>
  begin<EgressReceived>()
    .guard('audit', recordable(parts.audit)) // nothing is done that could not be recorded
    .learn('ask', readAsk(parts)) // one host and port, by which all goes from here on
    .learn('workload', identify(parts))
    .guard('cut off', cutOff(parts)) // address, client certificate, SPIFFE ID, token, key
    .learn('decision', allow(parts.allowlist)) // may this workload go there at all?
    .guard('upgrade', upgradable) // to a WebSocket
    .learn('quota', limitRequests(parts.requestLimits))
    .learn('policy', authorise(parts.policy)) // what the rules allow the policy may still refuse
    .learn('slot', takeSlot(parts.limits, parts.accounts))
    .learn('addresses', findAddresses(parts)) // resolved once; every answer is judged
    .learn('credential', giveCredential(parts.credentials)) // what the rule adds; without it the request does not go
    .learn('leaf', certify(parts.leaves)) // for a host that is looked into
    .learn('connection', connect(parts)) // to a judged address and no other; TLS where the rule says so

/** What is known of what passed. */
export type Admitted = KnownOf<ReturnType<typeof egress>>

export const recordable = (audit: AuditSink) => () => audit.ready()

export const cutOff =
  ({
    quarantine,
  }: Pick<EgressParts, 'quarantine'>): Guard<EgressReceived & { readonly workload: Workload }> =>
  (request) =>
    quarantinedOut(quarantine, request)
