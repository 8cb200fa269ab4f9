import type { Result } from './problem.ts'
import type { SpiffeId } from './spiffe-id.ts'

export const egressModes = ['enforce', 'report', 'open'] as const
/** `report` lets through and records what would have been refused; `open` lets through. Neither relaxes what is said of addresses. */
export type EgressMode = (typeof egressModes)[number]

export const egressProtocols = ['tls', 'tls-inspected', 'http', 'https', 'tcp'] as const
/**
 * What goes through: TLS whose server name is looked at, TLS that ends here so that its requests are seen, plain HTTP requests,
 * requests that go on over verified TLS, or bytes that nobody looks at.
 */
export type EgressProtocol = (typeof egressProtocols)[number]

export const egressCredentialKinds = [
  'bearer',
  'header',
  'basic',
  'client-credentials',
  'token-exchange',
  'aws-sigv4',
] as const
/** What a rule can add to requests. */
export type EgressCredentialKind = (typeof egressCredentialKinds)[number]

/** Where a workload wants to go, from the one authority of its request. */
export type EgressTarget = {
  readonly spiffeId: SpiffeId
  /** Lower-case name without the dot at its end, or an address in its one spelling, IPv6 without brackets. */
  readonly host: string
  readonly isAddress: boolean
  readonly port: number
  /** A tunnel asked for by CONNECT, or a request whose method and path are seen: by itself, or within TLS that ended here. */
  readonly ask:
    | { readonly kind: 'tunnel' }
    | {
        readonly kind: 'request'
        readonly scheme: 'http' | 'https'
        readonly method: string
        readonly path: string
      }
    | { readonly kind: 'inspected'; readonly method: string; readonly path: string }
}

/** Why a destination was let through or not; the words that records, metrics and `egress suggest` go by. */
export const egressReasons = [
  'listed', // a destination of the workload's rule
  'listed-for-all',
  'not-listed',
  'open', // not listed, in a rule that lets everything through
  'denied', // a `deny` entry, which nothing beats
  'metadata', // nor does anything beat this
  'port-not-listed',
  'method-or-path-not-listed',
  'address-not-listed',
  'no-rule', // for this workload
] as const
export type EgressReason = (typeof egressReasons)[number]

/** A destination that was let through. */
export type EgressDecision = {
  readonly reason: EgressReason
  /** The workload's rule. */
  readonly rule: string
  readonly team: string
  readonly mode: EgressMode
  /** What it would have been refused for, were the rule enforced. */
  readonly wouldRefuse?: EgressReason
  readonly protocol: EgressProtocol
  /** Where it goes: the port asked for, but 443 for a request to port 80 of plain HTTP that goes on over TLS. */
  readonly port: number
  /** What a ClientHello may lack. */
  readonly withoutServerName: boolean
  readonly encryptedClientHello: boolean
  /** What the request gets on its way; a name of the configuration. */
  readonly credential?: string
  /** Networks that are closed to all, and open to this. */
  readonly opened: readonly string[]
  /** Of requests that are seen: whether one may become a WebSocket, into which nobody looks. */
  readonly webSockets: boolean
}

/** What is known of one address that a name leads to. */
export type JudgedAddress = {
  readonly address: string
  /** `public`, or what it is kept closed for: `loopback`, `private-use`, `metadata`, `denied` … */
  readonly class: string
  readonly isAllowed: boolean
}

/** Judges where workloads may go. It only ever says yes for a reason. */
export type EgressAllowlist = {
  /** Refuses with `destination-denied`, and says which rule it was in `detail`. */
  readonly decide: (target: EgressTarget) => Result<EgressDecision>
  /** @param opened Of the decision. */
  readonly judgeAddress: (address: string, port: number, opened: readonly string[]) => JudgedAddress
}
