import type { EgressCredentialKind } from '#contract/egress'
import type { Problem, Result } from '#contract/problem'
import type { Secret } from '#contract/secret'
import type { Soon } from '#contract/step'
import type { Body } from '#http/body'
import type { Workload } from '../identify.ts'

/** A request as it goes out, for whoever signs it. */
export type Outgoing = {
  readonly method: string
  /** Of its Host header. */
  readonly host: string
  readonly path: string
  /** With its `?`; '' if there is none. */
  readonly query: string
  /** Name, value, name, value …: names lower-case. */
  readonly headers: readonly string[]
  readonly body: Body
}

/** For whom, when, and which record to name it in. */
export type Occasion = {
  readonly workload: Workload
  readonly rule: string
  readonly nowMs: number
  readonly decisionId: string
}

/** What goes along with one request. */
export type Attachment = {
  /** Name, value, name, value …; they replace the workload's own of these names. */
  readonly headers: readonly string[]
  /** Names of the workload's own that stay behind besides. */
  readonly removes: readonly string[]
  /** What must not come back, in every form of it. */
  readonly needles: readonly Buffer[]
}

export type Attached = {
  readonly attachment: Attachment
  /** Of what was fetched: whether it was there already. */
  readonly fromCache?: boolean
}

/** Makes what goes along. Refuses with `credential-unavailable`, `credential-withheld` or as the body does. */
export type Attach = (outgoing: Outgoing, occasion: Occasion) => Soon<Result<Attached>>

/** A credential of the configuration, ready to be used. */
export type Credential = {
  readonly kind: EgressCredentialKind
  readonly scanBytes: number
  readonly attach: Attach
}

/** What a request got, as its forwarder and its record need it. */
export type GivenCredential = {
  readonly id: string
  readonly kind: EgressCredentialKind
  readonly scanBytes: number
  readonly attachment: Secret<Attachment>
  readonly fromCache?: boolean
  readonly tookMs: number
}

/** The destination showed the credential again: it goes no further. */
export const credentialReturned = (id: string): Problem => ({
  tag: 'credential-returned',
  detail: `The answer holds what credential \`${id}\` added to the request.`,
})
