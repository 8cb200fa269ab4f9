import type { PolicyReason } from '#contract/policy'

export type PolicyResult = {
  readonly allow: boolean
  readonly reasons: readonly PolicyReason[]
}

const classes: Readonly<Record<PolicyReason['class'], true>> = {
  identity: true,
  role: true,
  scope: true,
  tenant: true,
  time: true,
  egress: true,
  policy: true,
}

/**
 * Reads what a policy gave: a list of one `{result: {allow, reasons}}`. An empty list is what OPA gives for undefined.
 *
 * @returns undefined if it is anything else, however near: a key more could be an obligation that nobody meets.
 */
export const readDecision = (results: unknown): PolicyResult | undefined => {
  if (!Array.isArray(results) || results.length !== 1) return undefined
  const [only] = results as readonly unknown[]
  if (!hasKeys(only, 1) || !hasKeys(only['result'], 2)) return undefined
  const { allow, reasons } = only['result']
  if (typeof allow !== 'boolean' || !Array.isArray(reasons)) return undefined
  return reasons.every(isReason) ? { allow, reasons } : undefined
}

const isReason = (reason: unknown): reason is PolicyReason =>
  hasKeys(reason, 3) &&
  typeof reason['code'] === 'string' &&
  typeof reason['message'] === 'string' &&
  typeof reason['class'] === 'string' &&
  Object.hasOwn(classes, reason['class'])

const hasKeys = (value: unknown, count: number): value is Record<string, unknown> =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  Object.keys(value).length === count
