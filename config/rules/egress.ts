import { addressBytes, isWithin, networkOf } from '#contract/ip-address'
import { hostMatcher } from '#contract/match-host'
import { spiffeIdPattern, spiffeIdPatternsOverlap } from '#contract/spiffe-id-pattern'
import { tick, type Finding } from '../faults.ts'
import type { Egress } from '../schema.ts'
import { egressDestinations, maxPairs, type Entry, type Rule, type Subject } from './rule.ts'

/** What a workload may do is said once, can be meant, and stands where it has an effect. */
export const egress: Rule = (subject) => {
  const { hasEgress, hasEgressListener } = subject
  if (subject.kind !== 'gateway') return []
  if (hasEgress !== hasEgressListener) return [oneWithoutOther(hasEgress)]
  return [
    ...twiceCalled(subject),
    ...overlapping(subject.egressRules),
    ...strangers(subject),
    ...invisible(subject),
    ...unasked(subject),
    ...uninspectable(subject),
    ...selfHarm(subject),
  ]
}

const oneWithoutOther = (hasEgress: boolean): Finding =>
  hasEgress
    ? {
        pointer: '/egress',
        at: 'key',
        message: '`egress` says where workloads may go, and there is no `listeners.egress`',
        remedy: 'add the listener, or take this out',
      }
    : {
        pointer: '/listeners/egress',
        at: 'key',
        message: '`listeners.egress` is there, and no `egress` says where anyone may go',
        remedy: 'add `egress: { rules: […] }`, or take the listener out',
      }

const twiceCalled = ({ egressRules, egressDenials }: Subject): Finding[] => {
  const seen = new Set<string>()
  return [...egressDenials, ...egressRules].flatMap(({ name, pointer }): Finding[] => {
    const isTwice = seen.has(name)
    seen.add(name)
    if (!isTwice) return []
    return [
      {
        pointer: `${pointer}/id`,
        at: 'value',
        message: `another entry of \`egress\` is called ${tick(name)} too`,
        remedy: 'give each its own, for refusals name it',
      },
    ]
  })
}

type EgressRule = Egress['rules'][number]
type Workload = {
  readonly text: string
  readonly rank: number
  readonly rule: string
  readonly pointer: string
}

/** Of two patterns that are equally close nobody could say which is meant. */
const overlapping = (rules: readonly Entry<EgressRule>[]): Finding[] => {
  const byRank = new Map<string, Workload[]>()
  const found: Finding[] = []
  for (const { name, pointer, value } of rules)
    for (const [i, text] of value.workloads.entries()) {
      const { isExact, rank } = spiffeIdPattern(text)
      const workload = { text, rank, rule: name, pointer: `${pointer}/workloads/${i}` }
      const key = isExact ? text : String(rank)
      const others = byRank.get(key) ?? []
      const other = others.find((one) => spiffeIdPatternsOverlap(one.text, text))
      byRank.set(key, [...others, workload])
      if (other === undefined || found.length >= maxPairs) continue
      found.push({
        pointer: workload.pointer,
        at: 'value',
        message: `${tick(text)} is for workloads that ${tick(other.text)} of rule ${tick(other.rule)} is for too, and neither is closer`,
        remedy: 'write one of them closer, for one rule is for one workload',
      })
    }
  return found
}

const strangers = ({ egressRules, text, texts }: Subject): Finding[] => {
  const trustDomain = text('/trustDomain')
  if (trustDomain === undefined) return []
  const domains = [trustDomain, ...texts('/egress/trustDomains')]
  return egressRules.flatMap(({ pointer, value }) =>
    value.workloads.flatMap((workload, i): Finding[] =>
      domains.some((domain) => workload.startsWith(`spiffe://${domain}/`))
        ? []
        : [
            {
              pointer: `${pointer}/workloads/${i}`,
              at: 'value',
              message: `${tick(workload)} is not of the trust domain ${tick(trustDomain)}, so nobody can be it here`,
              remedy: `begin it with \`spiffe://${trustDomain}/\``,
            },
          ],
    ),
  )
}

type Destination = EgressRule['destinations'][number]
/** Within TLS and opaque bytes there is no method to be seen: a list of them would promise what nobody holds. */
const invisible = (subject: Subject): Finding[] =>
  egressDestinations(subject).flatMap(({ pointer, value }): Finding[] =>
    (['methods', 'paths', 'webSockets'] as const).flatMap((key) =>
      value[key] === undefined || (value.protocol !== 'tls' && value.protocol !== 'tcp')
        ? []
        : [
            {
              pointer: `${pointer}/${key}`,
              at: 'key',
              message: `${tick(key)} cannot be seen in a tunnel with \`protocol: ${value.protocol}\``,
              remedy: 'take it out; only `http`, `https` and `tls-inspected` show them',
            },
          ],
    ),
  )

/** What is required is required of a policy that is asked. */
const unasked = ({ egressRules, has }: Subject): Finding[] =>
  has('/egress/policy')
    ? []
    : egressRules
        .filter(({ value }) => Object.keys(value.policy.requires).length > 0)
        .map(({ name, pointer }) => ({
          pointer: `${pointer}/policy`,
          at: 'key',
          message: `rule ${tick(name)} tells the policy what it requires, and \`egress.policy\` is not there: nobody asks it`,
          remedy: 'add `policy: {}` to `egress`, or take this out',
        }))

/** Certificates are for names, and what inspection alone does must not seem to be done where there is none. */
const uninspectable = (subject: Subject): Finding[] => [
  ...egressDestinations(subject).flatMap(({ pointer, value }): Finding[] => {
    if (value.protocol !== 'tls-inspected' || !('networks' in value)) return []
    return [
      {
        pointer: `${pointer}/networks`,
        at: 'key',
        message: 'TLS to an address cannot be inspected: certificates are for names',
        remedy: 'name `hosts` instead',
      },
    ]
  }),
  ...subject.egressRules.flatMap(({ pointer, value }): Finding[] =>
    value.waf === undefined || inspects(value) || subject.egressAllowed.some(isInspected)
      ? []
      : [
          {
            pointer: `${pointer}/waf`,
            at: 'key',
            message: '`waf` looks at nothing here: no destination is `tls-inspected`',
            remedy: 'take it out, or inspect a host',
          },
        ],
  ),
]

const isInspected = ({ value }: { readonly value: Destination }) =>
  value.protocol === 'tls-inspected'
const inspects = ({ destinations }: EgressRule) =>
  destinations.some((value) => isInspected({ value }))

type Indispensable = { readonly host: string; readonly port: number; readonly what: string }

/** Where the mesh itself is: workloads get their identities there, and send what they measure; and what the operator names. */
const indispensable = ({ text, texts }: Subject): readonly Indispensable[] => [
  ...(
    [
      ['/exchange/url', 'the exchange, where workloads get their identities and bundles'],
      ['/tracing/endpoint', 'the collector of telemetry'],
    ] as const
  ).flatMap(([pointer, what]) => {
    const url = URL.parse(text(pointer) ?? '')
    if (!url) return []
    const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80)
    return [{ host: url.hostname, port, what }]
  }),
  ...texts('/egress/indispensable').flatMap((place) => {
    const [, host = '', port = ''] = /^(.+):(\d+)$/.exec(place) ?? []
    return [{ host, port: Number(port), what: 'indispensable' }]
  }),
]

/** Nothing beats a denial, and an enforced rule lets nobody go where it does not list: both can cut off what nobody meant. */
const selfHarm = (subject: Subject): Finding[] =>
  indispensable(subject).flatMap((place): Finding[] => [
    ...subject.egressDenials
      .filter(({ value }) => isPlaceIn(value, value.ports, place))
      .map(({ name, pointer }) => ({
        pointer,
        at: 'value' as const,
        message: `\`deny\` entry ${tick(name)} closes ${tick(`${place.host}:${place.port}`)} to all workloads: that is ${place.what}`,
        remedy: 'narrow its hosts, networks or `ports`',
      })),
    ...(place.what === 'indispensable' ? unlisted(subject, place) : []),
  ])

const unlisted = ({ egressRules, egressAllowed }: Subject, place: Indispensable): Finding[] => {
  const lists = (destination: Destination) => {
    const ports = destination.ports ?? [destination.protocol === 'http' ? 80 : 443]
    return isPlaceIn(destination, ports, place)
  }
  if (egressAllowed.some(({ value }) => lists(value))) return []
  return egressRules
    .filter(({ value }) => value.mode === 'enforce' && !value.destinations.some(lists))
    .map(({ name, pointer }) => ({
      pointer,
      at: 'value',
      message: `rule ${tick(name)} does not let its workloads go to ${tick(`${place.host}:${place.port}`)}, which is indispensable`,
      remedy: 'list it in `egress.allow`, or there',
    }))
}

type Place = { readonly hosts: readonly string[] } | { readonly networks: readonly string[] }

const isPlaceIn = (
  named: Place,
  ports: readonly number[] | undefined,
  { host, port }: Indispensable,
): boolean => {
  if (ports && !ports.includes(port)) return false
  if ('hosts' in named) return named.hosts.some((pattern) => hostMatcher(pattern)(host))
  const bytes = addressBytes(host.replace(/^\[|\]$/g, ''))
  return bytes !== undefined && named.networks.some((cidr) => isWithin(networkOf(cidr), bytes))
}
