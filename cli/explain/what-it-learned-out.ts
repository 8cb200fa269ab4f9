import type { JudgedAddress } from '#contract/egress'
import type { Inspection } from '#contract/inspection'
import { placeOf } from '#gateway/egress/allow'
import type { Admitted } from '#gateway/egress/pipeline'
import type { EgressReceived } from '#gateway/egress/received'
import { limit, reasonsOf, unlisted } from './what-it-learned.ts'

/** What is known of a request or tunnel on its way out, as far as it came. */
export type OutFacts = EgressReceived &
  Partial<Admitted> & { readonly inspection?: Inspection | undefined }

/** In a few words, what a step that admitted it has found out. */
export const whatItLearnedOut = (step: string, facts: OutFacts): string =>
  Object.hasOwn(sentences, step) ? (sentences[step as keyof typeof sentences]?.(facts) ?? '') : ''

/** Each address that a name leads to, and what it is. */
export const addressesOf = (judged: readonly JudgedAddress[]): string =>
  judged
    .map(({ address, class: kind, isAllowed }) => `${address} is ${isAllowed ? 'open' : kind}`)
    .join(', ')

const sentences = {
  audit: () => 'records would be written',
  ask: ({ ask }) => {
    if (!ask) return undefined
    const { host, port } = ask.authority
    const what = ask.kind === 'tunnel' ? 'a tunnel' : `${ask.head.method} ${ask.head.path}`
    return `${what}, to ${host} port ${port}`
  },
  workload: ({ workload }) => workload?.spiffeId,
  'cut off': () => unlisted,
  decision: ({ decision }) =>
    decision &&
    `${decision.reason}, by rule ${decision.rule} of team ${decision.team} (${decision.mode}): ${decision.protocol} to port ${decision.port}${decision.wouldRefuse ? `; enforced, it would be refused: ${decision.wouldRefuse}` : ''}`,
  upgrade: () => 'none is asked for',
  quota: ({ quota }) => limit(quota),
  policy: ({ policy }) => (policy ? reasonsOf(policy) : 'the rules alone decide'),
  slot: () => 'not counted here',
  addresses: ({ addresses }) => addresses && addressesOf(addresses.judged),
  credential: ({ credential, decision }) => {
    if (!credential)
      return decision?.credential === undefined ? 'none' : 'none for the tunnel itself'
    const who =
      credential.kind === 'token-exchange'
        ? ', for who shows a JWT-SVID in Proxy-Authorization'
        : ''
    return `${credential.id} (${credential.kind}) would go along${who}; not fetched here`
  },
  leaf: ({ leaf, ask }) =>
    leaf ? `the exchange would certify ${ask?.authority.host}; not asked here` : 'none is needed',
  connection: ({ ask, addresses, decision }) =>
    ask &&
    addresses &&
    decision &&
    `would be to ${addresses.open.join(' or ')} port ${placeOf({ ask, decision }).port}; not dialled here`,
  inspection: ({ inspection }) =>
    inspection ? 'no rule refuses it; a body is not looked at here' : 'off here',
} as const satisfies Record<string, (facts: OutFacts) => string | undefined>
