import type { RandomBytes, Sleep } from '#contract/clock'
import type { TrustDomain } from '#contract/spiffe-id'
import type { Log } from '#contract/telemetry'
import { askExchange, type ExchangeAddress } from './exchange-connection.ts'
import { followBundle, type TrustBundle } from './follow-bundle.ts'

export type TrustBundleOptions = {
  readonly exchange: ExchangeAddress
  /** Configured, never taken from what is fetched. */
  readonly trustDomain: TrustDomain
  /** PEM roots that the exchange's certificate must come from. Asked before each fetch. */
  readonly roots: () => string
  readonly sleep: Sleep
  readonly randomBytes: RandomBytes
  readonly log: Log
}

/** Keeps the exchange's own bundle (`GET /bundle`), asked for over TLS that is pinned to roots and SPIFFE ID. */
export const trustBundle = ({ exchange, roots, ...options }: TrustBundleOptions): TrustBundle =>
  followBundle({
    ...options,
    fetch: () => askExchange(exchange, '/bundle', roots(), undefined),
    afterFailure: 'soon',
  })
