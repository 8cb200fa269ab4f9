import { parseSpiffeId, trustDomainOf } from '#contract/spiffe-id'
import { quote, type Finding } from '../faults.ts'
import { pointerTo } from '../pointer.ts'
import type { Rule, Subject } from './rule.ts'

/**
 * Everyone in a configuration belongs to its trust domain: certificates of another could not be verified, and nothing may
 * be minted for it.
 */
export const trustDomain: Rule = (subject) => {
  const domain = subject.text('/trustDomain')
  if (domain === undefined) return []
  return idsOf(subject).flatMap(([pointer, id]): Finding[] => {
    const parsed = parseSpiffeId(id)
    if (!parsed.ok || trustDomainOf(parsed.value) === domain) return []
    return [
      {
        pointer,
        at: 'value',
        message: `${quote(id)} is not in the trust domain ${quote(domain)}`,
        remedy: `name an ID that begins with spiffe://${domain}/`,
      },
    ]
  })
}

const idsOf = (subject: Subject): (readonly [pointer: string, id: string])[] => {
  const one = (pointer: string) => {
    const id = subject.text(pointer)
    return id === undefined ? [] : [[pointer, id] as const]
  }
  const several = (pointer: string) =>
    subject.texts(pointer).map((id, i) => [pointerTo(pointer, i), id] as const)
  return [
    ...one('/spiffeId'),
    ...one('/exchange/spiffeId'),
    ...several('/gateways'),
    ...subject.joinTokens.map(
      ({ pointer, value }) => [`${pointer}/spiffeId`, value.spiffeId] as const,
    ),
    ...subject.upstreams.map(
      ({ pointer, value }) => [`${pointer}/spiffeId`, value.spiffeId] as const,
    ),
    ...subject.identities.map(
      ({ pointer, value }) =>
        [
          `${pointer}/spiffeId`,
          // A claim stands in the path only, so any text in its place gives the same trust domain.
          value.spiffeId.replaceAll(/\{[^{}]+\}/g, 'x'),
        ] as const,
    ),
  ]
}
