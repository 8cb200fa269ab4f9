import type { Socket } from 'node:net'
import type { SpiffeId } from '#contract/spiffe-id'

/**
 * Who proved to be at the other end of a connection by a client certificate.
 * `thumbprint`: SHA-256 of the certificate, base64url (`x5t#S256`, RFC 8705 §3.1).
 */
export type Peer =
  | { readonly kind: 'proven'; readonly spiffeId: SpiffeId; readonly thumbprint: string }
  /** There was a certificate, and it proves nothing: why, for the record. */
  | { readonly kind: 'refused'; readonly fault: string }
  | { readonly kind: 'none' }

/** Asked for each request: a certificate can expire while its connection stays open. */
export type PeerOf = (socket: Socket, nowMs: number) => Peer
