import type { EgressDecision } from '#contract/egress'
import { pass, refuse } from '#contract/problem'
import { secret } from '#contract/secret'
import type { Step } from '#contract/step'
import type { Workload } from '../identify.ts'
import type { Ask } from '../read-ask.ts'
import type { EgressReceived } from '../received.ts'
import { authorityOf } from '../request-headers.ts'
import type { Credential, GivenCredential } from './credential.ts'

type Needs = Pick<EgressReceived, 'nowMs' | 'decisionId' | 'body'> & {
  readonly ask: Ask
  readonly workload: Workload
  readonly decision: EgressDecision
}

/**
 * Gets what the rule adds to the request, before anything is dialled. Where it cannot be had the request does not go.
 *
 * @returns A step refusing with `credential-unavailable`, `credential-withheld`, or as the body does that is to be signed.
 */
export const giveCredential =
  (credentials: ReadonlyMap<string, Credential>): Step<Needs, GivenCredential | undefined> =>
  ({ ask, workload, decision, nowMs, decisionId, body }) => {
    const { credential: id, rule, protocol } = decision
    // A tunnel that is looked into gets none; its requests do, each by what lists it.
    if (id === undefined || (ask.kind === 'tunnel' && protocol === 'tls-inspected'))
      return pass(undefined)
    const credential = credentials.get(id)
    const isProven = protocol === 'https' || protocol === 'tls-inspected'
    if (!credential || ask.kind !== 'request' || !isProven)
      return refuse('credential-unavailable', {
        cause: `credential ${id} is not there, or nobody would have proved who gets it`,
      })
    const began = performance.now()
    const { method, path, query, headers } = ask.head
    const host = authorityOf({ ask, decision })
    const soon = credential.attach(
      { method, host, path, query, headers, body },
      { workload, rule, nowMs, decisionId },
    )
    const given = (made: Awaited<typeof soon>) =>
      made.ok
        ? pass({
            id,
            kind: credential.kind,
            scanBytes: credential.scanBytes,
            attachment: secret(made.value.attachment),
            ...(made.value.fromCache === undefined ? {} : { fromCache: made.value.fromCache }),
            tookMs: performance.now() - began,
          })
        : made
    return soon instanceof Promise ? soon.then(given) : given(soon)
  }
