import type { KeyObject } from 'node:crypto'
import type { Lived, Slots } from '../ca/slots.ts'

/** A P-256 key of the exchange. `createdAtMs` is also when it was first published. */
export type SigningKey = Lived & { readonly privateKey: KeyObject; readonly publicKey: KeyObject }

/** A key that signs certificates, with its own certificate. */
export type CertifiedKey = SigningKey & {
  /** DER. */
  readonly certificate: Buffer
  /** Common name in that certificate. */
  readonly subject: string
}

/** Signs what gateways show where they look into TLS. `permitted`: names that its certificate lets it sign for. */
export type InspectionCa = CertifiedKey & { readonly permitted: readonly string[] }

/** Every key of the exchange, and how far its bundle was counted. */
export type KeyState = {
  readonly trustDomain: string
  /** `spiffe_sequence` of the bundle that these keys make. */
  readonly sequence: number
  /** `id` is the subject key identifier, hex. */
  readonly roots: Slots<CertifiedKey>
  readonly intermediates: Slots<CertifiedKey>
  /** `id` is the `kid`. */
  readonly jwtKeys: Slots<SigningKey>
  /** Digest of what else the bundle has, which is not ours to keep: `besides.ts`. Absent where there never was any. */
  readonly besides?: string
  /** Absent until the configuration first names hosts to inspect. `id` as of the other certificates. */
  readonly inspectionCas?: Slots<InspectionCa>
}

/** Where the keys are kept. What `save` took is what the next `load` gives, or `save` has thrown. */
export type KeyStore = {
  /**
   * @returns Undefined where nothing was ever saved.
   * @throws Error naming file and remedy if what is there cannot be trusted.
   */
  readonly load: () => Promise<KeyState | undefined>
  readonly save: (state: KeyState) => Promise<void>
}
