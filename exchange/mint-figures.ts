import type { Meter } from '#contract/telemetry'

/** Unknown: refused before it was said. */
export type MintKind =
  | 'jwt-svid'
  | 'access-token'
  | 'txn-token'
  | 'x509-svid'
  | 'inspection-leaf'
  | 'unknown'

/** The figures of what is minted. */
export type MintFigures = {
  readonly issued: (kind: MintKind, elapsedMs: number) => void
  readonly refused: (kind: MintKind) => void
  /** Something of ours broke. */
  readonly failed: (kind: MintKind) => void
}

export const mintFigures = (meter: Meter): MintFigures => {
  const count = (kind: MintKind, result: 'issued' | 'refused' | 'failed') =>
    meter.counter('sallyport_mints_total', { kind, result })()
  return {
    issued: (kind, elapsedMs) => {
      count(kind, 'issued')
      if (kind !== 'unknown')
        meter.histogram('sallyport_mint_duration_seconds', { kind })(elapsedMs / 1000)
    },
    refused: (kind) => count(kind, 'refused'),
    failed: (kind) => count(kind, 'failed'),
  }
}
