import { parseSpiffeId, trustDomainOf } from '#contract/spiffe-id'
import { quote, type Finding } from '../faults.ts'
import { pointerTo } from '../pointer.ts'
import type { Rule, Subject } from './rule.ts'

/**
 * Everyone in a configuration belongs to its trust domain: certificates of another could not be verified, and nothing may
 * be minted for it. Upstreams and clients may be of another that `federation` names.
 */
export const trustDomain: Rule = (subject) => {
  const domain = subject.text('/trustDomain')
  if (domain === undefined) return []
  const federated = new Set(subject.federated.map(({ name }) => name))
  return idsOf(subject).flatMap(([pointer, id, mayBe]): Finding[] => {
    const parsed = parseSpiffeId(id)
    if (!parsed.ok || trustDomainOf(parsed.value) === domain) return []
    if (mayBe === 'federated' && federated.has(trustDomainOf(parsed.value))) return []
    return [
      {
        pointer,
        at: 'value',
        message: `${quote(id)} is not in the trust domain ${quote(domain)}`,
        remedy:
          mayBe === 'federated'
            ? `name an ID that begins with spiffe://${domain}/, or its trust domain in \`federation\``
            : `name an ID that begins with spiffe://${domain}/`,
      },
    ]
  })
}

type Found = readonly [pointer: string, id: string, mayBe?: 'federated']

const idsOf = (subject: Subject): Found[] => {
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
      ({ pointer, value }) => [`${pointer}/spiffeId`, value.spiffeId, 'federated'] as const,
    ),
    ...subject.clients.flatMap(({ pointer, value: { authentication } }): Found[] =>
      authentication.method === 'tls_client_auth'
        ? [[`${pointer}/authentication/spiffeId`, authentication.spiffeId, 'federated']]
        : [],
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
