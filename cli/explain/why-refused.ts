import { causeText } from '#contract/cause'
import type { InspectionRecord } from '#contract/inspection'
import type { PolicyDecision } from '#contract/policy'
import type { Problem } from '#contract/problem'
import type { ClosedAddresses } from '#gateway/egress/find-addresses'
import { addressesOf } from './what-it-learned-out.ts'

/** Why a step refused, in a line: the policy's reasons and the firewall's findings as a person reads them. */
export const whyRefused = ({ tag, detail, cause }: Problem): string =>
  [tag, detail, cause === undefined ? undefined : behind(tag, cause)]
    .filter((part) => part !== undefined)
    .join(': ')

const behind = (tag: Problem['tag'], cause: unknown): string | undefined => {
  switch (tag) {
    case 'destination-denied':
      return undefined // its detail says it all
    case 'policy-denied':
      return (cause as PolicyDecision).reasons
        .map(({ code, message }) => `${code}, ${message}`)
        .join('; ')
    case 'attack-suspected':
      return (cause as InspectionRecord).rules
        .map(({ id, message, variable }) => `rule ${id}, ${message}, in ${variable}`)
        .join('; ')
    case 'address-denied':
      return addressesOf((cause as ClosedAddresses).judged)
    default:
      return causeText(cause)
  }
}
