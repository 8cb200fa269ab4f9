import type { Result } from './problem.ts'

/** What something can be cut off by. */
export const quarantineKinds = [
  'address',
  'route',
  'client-certificate',
  'issuer',
  'subject',
  'spiffe-id',
  'jti',
  'kid',
] as const
export type QuarantineKind = (typeof quarantineKinds)[number]

/** Whom or what an entry cuts off. */
export type QuarantineSelector =
  /** An address, or a network such as `203.0.113.0/24`. */
  | { readonly kind: 'address'; readonly network: string }
  | { readonly kind: 'route'; readonly route: string }
  /** SHA-256 of a client certificate, 64 hex digits. */
  | { readonly kind: 'client-certificate'; readonly sha256: string }
  /** The name that the configuration gives an issuer, or its `iss`; so wherever an issuer is named here. */
  | { readonly kind: 'issuer'; readonly issuer: string }
  | { readonly kind: 'subject'; readonly issuer: string; readonly subject: string }
  /** One SPIFFE ID, or with `/*` at its end all that are below it. */
  | { readonly kind: 'spiffe-id'; readonly spiffeId: string }
  /** One token; without an issuer that of any. */
  | { readonly kind: 'jti'; readonly jti: string; readonly issuer?: string }
  /** All tokens signed with one key; without an issuer that of any. */
  | { readonly kind: 'kid'; readonly kid: string; readonly issuer?: string }

/** What a selector is about, in one word or two: for records and lists. */
export const selected = (
  by: QuarantineSelector,
): { readonly kind: QuarantineKind; readonly value: string; readonly issuer?: string } => {
  const issuer = 'issuer' in by && by.kind !== 'issuer' ? { issuer: by.issuer } : {}
  switch (by.kind) {
    case 'address':
      return { kind: by.kind, value: by.network }
    case 'route':
      return { kind: by.kind, value: by.route }
    case 'client-certificate':
      return { kind: by.kind, value: by.sha256 }
    case 'issuer':
      return { kind: by.kind, value: by.issuer }
    case 'subject':
      return { kind: by.kind, value: by.subject, ...issuer }
    case 'spiffe-id':
      return { kind: by.kind, value: by.spiffeId }
    case 'jti':
      return { kind: by.kind, value: by.jti, ...issuer }
    case 'kid':
      return { kind: by.kind, value: by.kid, ...issuer }
    default:
      return by satisfies never
  }
}

/** One decision of an operator to cut something off. */
export type QuarantineEntry = {
  readonly id: string
  readonly by: QuarantineSelector
  readonly reason: string
  /** Who decided it, as they said. */
  readonly actor: string
  /** ISO 8601, as all instants here. */
  readonly createdAt: string
  /** When it ends by itself. */
  readonly expiresAt?: string
  /** It is only about tokens issued before this. One that does not say when it was issued is. */
  readonly notBefore?: string
}

/** What is known of a request before it is known who sent it. */
export type WhereFrom = {
  /** Of the caller, canonical. */
  readonly address: string
  /** Of the other end of the connection: a trusted proxy, or the caller itself. */
  readonly peerAddress: string
  /** SHA-256 of its client certificate, if it showed one. */
  readonly certificateSha256: string | undefined
  readonly route: string | undefined
}

/** What a verified token and the mapping say of a caller. */
export type WhoCalls = {
  /** As the configuration names it. */
  readonly issuerName: string
  /** Its `iss`. */
  readonly issuer: string
  readonly subject: string
  readonly kid: string
  readonly jti: string | undefined
  readonly issuedAtMs: number | undefined
  /** Undefined until it is mapped. */
  readonly spiffeId: string | undefined
}

/** Each refuses with `quarantined`, its cause the `QuarantineEntry`, or with `quarantine-unavailable`. */
export type QuarantineJudge = {
  readonly where: (from: WhereFrom, nowMs: number) => Result<void>
  readonly who: (caller: WhoCalls, nowMs: number) => Result<void>
}

/** An entry, and how much it has refused and cut on this gateway. */
export type QuarantineRow = { readonly entry: QuarantineEntry; readonly hits: number }

/** What became of an order, and what whoever gave it should know besides. */
export type QuarantineOutcome = QuarantineRow & { readonly warnings: readonly string[] }

/** Who and what is cut off. */
export type Quarantine = {
  /** Of what comes in. */
  readonly arriving: QuarantineJudge
  /** The same of what is open already; counted apart. It finds nothing as long as no list is known. */
  readonly open: QuarantineJudge
  /** False until a list was once read: nobody may pass who could be on it. */
  readonly isKnown: () => boolean
  /**
   * Takes an order `{ by, reason, actor, forSeconds | expiresAt, notBefore }`. Once it resolves the entry is in force here.
   *
   * @returns Refuses with `request-malformed`, telling what is wrong with the order; with `order-refused` when the list is
   *   full; with `quarantine-unavailable` when the others could not be told.
   */
  readonly add: (order: unknown) => Promise<Result<QuarantineOutcome>>
  /** Takes an entry out. Refuses with `order-refused` when there is none of this id, or as `add` does. */
  readonly lift: (id: string) => Promise<Result<QuarantineOutcome>>
  /** Those in force, the oldest first; `moreEntries` beyond `max`. */
  readonly list: (
    nowMs: number,
    max: number,
  ) => { readonly entries: readonly QuarantineRow[]; readonly moreEntries: number }
  /** Called at once whenever an entry came into force. Returns how to stop that. */
  readonly onAdded: (listener: () => void) => () => void
  readonly status: () => QuarantineStatus
  readonly close: () => Promise<void>
}

export type QuarantineStatus = {
  readonly store: 'memory' | 'redis'
  readonly entries: number
  /** The last change that is in force here; the same on all gateways that share a list. */
  readonly lastChange: string
  /** Since the shared list was last seen; 0 where nothing is shared. */
  readonly ageSeconds: number
}
