import type { SpiffeId } from '#contract/spiffe-id'

/** Who asks at the token endpoint, proven. */
export type Asker =
  /** May ask on behalf of its callers. */
  | { readonly kind: 'gateway'; readonly id: SpiffeId; readonly spiffeId: SpiffeId }
  /** One of the configuration's `clients`. */
  | {
      readonly kind: 'client'
      readonly id: string
      /** Of one that comes with a certificate of the mesh. */
      readonly spiffeId: SpiffeId | undefined
      readonly receives: ReadonlySet<string>
      readonly bound: 'no' | 'certificate' | 'dpop'
    }
  /** Whoever brings a platform's token and nothing else: it speaks for its bearer. `claimed` is its `client_id`, if sent. */
  | { readonly kind: 'self'; readonly id: 'self'; readonly claimed: string | undefined }
