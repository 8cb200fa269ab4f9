/** What is left of a limit after a request, for the answer's headers and the record. */
export type Quota = {
  readonly name: 'address' | 'caller' | 'route' | 'client' | 'subject'
  readonly mode: 'enforce' | 'report'
  readonly limit: number
  readonly windowSeconds: number
  readonly remaining: number
  /** Until all points are back. */
  readonly resetSeconds: number
  /** It is over the limit and would have been refused, were the limit enforced. */
  readonly reportOnly?: true
}

/** Says in an answer's headers what is left of limits: name, value, name, value …. */
export type QuotaHeaders = (quotas: readonly (Quota | undefined)[]) => readonly string[]
