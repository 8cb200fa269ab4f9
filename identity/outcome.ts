/**
 * What came of something that no caller asked for: reading a file, a key set, a certificate, an answer of the exchange.
 * `fault` is told to operators. What a caller can cause is a `Result` with a problem instead.
 */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly fault: string }

export const good = <T>(value: T): Outcome<T> => ({ ok: true, value })
export const bad = (fault: string): { readonly ok: false; readonly fault: string } => ({
  ok: false,
  fault,
})
