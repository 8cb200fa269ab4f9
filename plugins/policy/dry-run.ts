import type { PolicyInput } from '#contract/policy'
import { readDecision } from './decision.ts'
import type { Evaluate } from './evaluate.ts'

/** A request of nobody in particular at a route that requires nothing. */
const sample: PolicyInput = {
  version: 1,
  nowMs: 0,
  direction: 'ingress',
  trustDomain: 'mesh.example',
  request: { method: 'GET', host: 'a.example', path: '/', segments: [''], query: '', headers: {} },
  route: { id: 'sample', team: 'sample', requires: {} },
  subject: { spiffeId: null, issuer: null, kind: 'anonymous', claims: {} },
  tls: { version: 'TLSv1.3', clientSpiffeId: null },
  net: { address: '192.0.2.1' },
}

/**
 * Has a policy decide a first request, of which nobody hears. One that gives no decision would deny every request, and an
 * operator should learn that at the start.
 *
 * @throws Error that says what it gave.
 */
export const dryRun = (evaluate: Evaluate): void => {
  const results = evaluate(JSON.stringify(sample))
  if (readDecision(results) !== undefined) return
  const given =
    Array.isArray(results) && results.length === 0 ? 'undefined' : JSON.stringify(results)
  throw new Error(
    `its entrypoint gives ${given.slice(0, 200)} for a plain request, and not {"allow": …, "reasons": […]}`,
  )
}
