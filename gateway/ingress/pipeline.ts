import type { AuditSink } from '#contract/audit-event'
import { begin, type KnownOf } from '../compose.ts'
import { assumeIdentity } from './assume-identity.ts'
import { authenticate } from './authenticate.ts'
import { authorise } from './authorise.ts'
import { bodySize } from './body-size.ts'
import { chooseEndpoint } from './choose-endpoint.ts'
import { clientCertificate } from './client-certificate.ts'
import { grpcOverHttp2 } from './grpc.ts'
import { identify } from './identify.ts'
import { inspect } from './inspect.ts'
import { keepSmallBody } from './keep-small-body.ts'
import { limitAddress, limitCaller, limitRoute } from './limit.ts'
import type { IngressParts } from './parts.ts'
import { quarantinedCaller, quarantinedHere } from './quarantined.ts'
import { findOrigin, readHead } from './receive.ts'
import type { Received } from './received.ts'
import { upgradable } from './upgradable.ts'

/** A request's way in, top to bottom. What passes it is forwarded (`forward.ts`) and recorded (`audit-record.ts`). */
export const ingress = (parts: IngressParts) =>
  begin<Received>()
    .guard('audit', recordable(parts.audit)) // nothing is done that could not be recorded
    .guard('load', parts.load) // refused early, what we could only answer late
    .learn('head', readHead(parts.gate)) // well-formed, one path, reserved headers gone
    .learn('origin', findOrigin(parts.origin))
    .learn('addressQuota', limitAddress(parts.addressLimit)) // before the signature check, which a flood would make us pay for
    .learn('route', parts.findRoute)
    .guard('cut off here', quarantinedHere(parts.quarantine)) // address, route, client certificate
    .guard('client certificate', clientCertificate(parts.certifiedStrangers)) // where the route wants one
    .guard('upgrade', upgradable) // WebSocket, where the route offers it
    .guard('grpc', grpcOverHttp2)
    .guard('body size', bodySize)
    .learn('caller', authenticate(parts)) // head only: no body is read for a stranger
    .learn('subject', identify(parts.mapping))
    .guard('cut off', quarantinedCaller(parts.quarantine)) // issuer, subject, token, key, SPIFFE ID
    .learn('routeQuota', limitRoute)
    .learn('callerQuota', limitCaller)
    .learn('inspection', inspect) // the WAF: head, then a bounded beginning of the body
    .learn('decision', authorise(parts.policy, parts.trustDomain, parts.issuers))
    .learn('identity', assumeIdentity(parts.mints))
    .guard('small body', keepSmallBody) // of one that came along with its head
    .learn('endpoint', chooseEndpoint)

/** What is known of a request that passed. */
export type Admitted = KnownOf<ReturnType<typeof ingress>>

/** Refuses what could not be recorded. */
export const recordable = (audit: AuditSink) => () => audit.ready()
