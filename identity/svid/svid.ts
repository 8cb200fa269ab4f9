import type { Secret } from '#contract/secret'
import type { SpiffeId } from '#contract/spiffe-id'

/** An X.509-SVID with its key, and the roots of its trust domain. */
export type Svid = {
  readonly spiffeId: SpiffeId
  /** PEM, leaf first, then intermediates. */
  readonly certificateChain: string
  /** PKCS#8 PEM. */
  readonly privateKey: Secret<string>
  /** PEM roots of the own trust domain. */
  readonly bundle: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** The identity of this process, kept fresh. */
export type OwnSvid = {
  readonly current: () => Svid
  /** Calls `listener` after each change; returns how to stop that. */
  readonly onChange: (listener: (svid: Svid) => void) => () => void
  readonly close: () => void
}

/** Whether certificate, key and roots are the same. */
export const isSameSvid = (one: Svid, other: Svid): boolean =>
  one.certificateChain === other.certificateChain &&
  one.bundle === other.bundle &&
  one.privateKey.reveal() === other.privateKey.reveal()
