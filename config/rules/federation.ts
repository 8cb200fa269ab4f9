import { parseSpiffeId, trustDomainOf } from '#contract/spiffe-id'
import { quote, tick, type Finding } from '../faults.ts'
import { pointerTo } from '../pointer.ts'
import type { Rule, Subject } from './rule.ts'

/** Other trust domains are other ones, each can be known by somebody, and who may come from one that is not there would be nobody. */
export const federation: Rule = (subject) => [
  ...ourselves(subject),
  ...unknownEndpoints(subject),
  ...unnamed(subject),
  ...forgetful(subject),
]

const ourselves = ({ federated, text }: Subject): Finding[] =>
  federated
    .filter(({ name }) => name === text('/trustDomain'))
    .map(({ name, pointer }) => ({
      pointer,
      at: 'key',
      message: `${quote(name)} is our own trust domain`,
      remedy: 'take it out: its bundle comes with our own identity',
    }))

/** By `https_spiffe` an endpoint is known by a bundle that is there already. */
const unknownEndpoints = ({ federated, text }: Subject): Finding[] =>
  federated.flatMap(({ name, pointer, value: { bundleEndpoint } }): Finding[] => {
    if (bundleEndpoint.profile !== 'https_spiffe') return []
    const id = parseSpiffeId(bundleEndpoint.spiffeId)
    if (!id.ok) return []
    const domain = trustDomainOf(id.value)
    const at = `${pointer}/bundleEndpoint/spiffeId`
    if (domain === name)
      return bundleEndpoint.bundleFile === undefined
        ? [
            {
              pointer: at,
              at: 'value',
              message: `the endpoint is of ${quote(name)} itself, and there is no bundle to know it by`,
              remedy: 'add `bundleFile` with the bundle of that trust domain',
            },
          ]
        : []
    if (domain === text('/trustDomain') || federated.some((other) => other.name === domain))
      return []
    return [
      {
        pointer: at,
        at: 'value',
        message: `the endpoint is of ${quote(domain)}, whose bundle nobody gives`,
        remedy: `name ${tick(domain)} in \`federation.trustDomains\`, too`,
      },
    ]
  })

const lists = [
  '/egress/trustDomains',
  '/listeners/ingress/tls/clientCertificates/trustDomains',
] as const

const unnamed = ({ federated, texts }: Subject): Finding[] =>
  lists.flatMap((list) =>
    texts(list).flatMap((domain, i): Finding[] =>
      federated.some(({ name }) => name === domain)
        ? []
        : [
            {
              pointer: pointerTo(list, i),
              at: 'value',
              message: `${quote(domain)} is not in \`federation.trustDomains\`, so nobody of it can be known`,
              remedy: 'say there where its bundle is',
            },
          ],
    ),
  )

const forgetful = ({ federated, has }: Subject): Finding[] =>
  // What an agent gives has no number, and is there again after a restart.
  federated.every(({ value }) => value.bundleEndpoint.profile === 'workload-api') ||
  has('/federation/directory')
    ? []
    : [
        {
          severity: 'warning',
          pointer: '/federation',
          at: 'key',
          message:
            'bundles of other trust domains are not kept: after a restart an old one would be taken',
          remedy: 'add `directory`',
        },
      ]
