import type { EgressDecision } from '#contract/egress'
import { pass } from '#contract/problem'
import type { Step } from '#contract/step'
import type { LeafCache } from './inspection/leaf-cache.ts'
import type { Leaf } from './inspection/request-leaf.ts'
import type { Ask } from './read-ask.ts'

/**
 * The certificate for a host whose TLS ends here. Before anything is agreed to, so that where there is none the workload is
 * told so; it never gets through unseen instead.
 *
 * @returns A step refusing with `inspection-unavailable`.
 */
export const certify =
  (
    leaves: LeafCache,
  ): Step<{ readonly ask: Ask; readonly decision: EgressDecision }, Leaf | undefined> =>
  ({ ask, decision }) =>
    decision.protocol === 'tls-inspected' ? leaves.of(ask.authority.host) : pass(undefined)
