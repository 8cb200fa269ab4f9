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
  const count = (kind: MintKind, result: 'refused' | 'failed') =>
    meter.counter('sallyport_mints_total', { kind, result })()
  const issuedOf = (kind: Exclude<MintKind, 'unknown'>) => ({
    count: meter.counter('sallyport_mints_total', { kind, result: 'issued' }),
    took: meter.histogram('sallyport_mint_duration_seconds', { kind }),
  })
  const issued = {
    'jwt-svid': issuedOf('jwt-svid'),
    'access-token': issuedOf('access-token'),
    'txn-token': issuedOf('txn-token'),
    'x509-svid': issuedOf('x509-svid'),
    'inspection-leaf': issuedOf('inspection-leaf'),
  }
  return {
    issued: (kind, elapsedMs) => {
      if (kind === 'unknown') return
      issued[kind].count()
      issued[kind].took(elapsedMs / 1000)
    },
    refused: (kind) => count(kind, 'refused'),
    failed: (kind) => count(kind, 'failed'),
  }
}
