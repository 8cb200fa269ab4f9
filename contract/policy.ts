import type { EgressProtocol, EgressReason } from './egress.ts'
import type { Result } from './problem.ts'
import type { Soon } from './step.ts'

/** Version of the input and of the decision. Fields are only ever added; a change of meaning is a new version. */
export const policyContractVersion = 1

/** What one policy looks at in its input, as its bundle says: nothing else can make a difference to what it decides. */
export type PolicyReads = {
  /** Paths of what it looks at, such as `subject.claims`. */
  readonly values: readonly string[]
  /** Paths of what it only asks of whether they hold a string. */
  readonly strings: readonly string[]
}

/** What a policy may look at. Never a token, never a secret. Described by `docs/reference/policy-input.schema.json`. */
export type PolicyInput = {
  readonly version: typeof policyContractVersion
  /** Milliseconds since 1970, in whole seconds: within a second the same question is the same input. */
  readonly nowMs: number
  readonly direction: 'ingress' | 'egress' | 'exchange'
  readonly trustDomain: string
  readonly request: {
    readonly method: string
    readonly host: string
    readonly path: string
    /** The path split at `/`, without the leading empty one. */
    readonly segments: readonly string[]
    readonly query: string
    /** Only those named by the route's `policy.headers`, lower-case. */
    readonly headers: Readonly<Record<string, string>>
  }
  readonly route: {
    readonly id: string
    readonly team: string
    /** What the operator wrote at the route for the policy to read. */
    readonly requires: Readonly<Record<string, unknown>>
  }
  readonly subject: {
    readonly spiffeId: string | null
    readonly issuer: string | null
    readonly kind: 'external' | 'serverless' | 'legacy' | 'mesh' | 'anonymous'
    /** Claims on the issuer's allow list. */
    readonly claims: Readonly<Record<string, unknown>>
  }
  /** Of `exchange` alone: what is asked for. */
  readonly exchange?: {
    /** Who asks: a gateway's SPIFFE ID, the name of a client, or `self`. */
    readonly client: string
    readonly tokenType: 'jwt-svid' | 'access-token' | 'txn-token' | 'x509-svid'
    /** '' for a certificate, which has none. */
    readonly audience: string
    readonly scopes: readonly string[]
    /** SPIFFE ID of who acts for the subject; null if nobody does. */
    readonly actor: string | null
  }
  /** Of `egress` alone: where it goes, after the rules have allowed it. */
  readonly egress?: {
    readonly port: number
    readonly protocol: EgressProtocol
    /** Why the rules let it through. */
    readonly reason: EgressReason
    readonly asks: 'tunnel' | 'request' | 'web-socket'
    /** Name of the credential that would go along. */
    readonly credential: string | null
  }
  readonly tls: { readonly version: string; readonly clientSpiffeId: string | null }
  readonly net: { readonly address: string }
}

export type PolicyReason = {
  readonly code: string
  readonly class: 'identity' | 'role' | 'scope' | 'tenant' | 'time' | 'egress' | 'policy'
  readonly message: string
}

/** What a policy decided. Anything that has not exactly this shape is a denial. */
export type PolicyDecision = {
  readonly allow: boolean
  /** For what is allowed and what is denied. */
  readonly reasons: readonly PolicyReason[]
  /** Revision of the bundle that decided. */
  readonly revision: string
}

/** Decides; refuses with `policy-denied`, its cause the `PolicyDecision`, when denied, with `policy-failed` when no decision could be had. */
export type PolicyEngine = {
  readonly decide: (input: PolicyInput) => Soon<Result<PolicyDecision>>
  /** Told that a decision stands once more, since the very same was asked again in the same second: it is counted. */
  readonly stands: (decided: Result<PolicyDecision>) => void
  readonly revision: string
}
