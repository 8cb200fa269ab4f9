import { prefixSegments, segmentsOf } from '#contract/route-order'
import type { EgressProtocol, EgressReason, EgressTarget } from '#contract/egress'
import { addressBytes, isWithin, networkOf } from '#contract/ip-address'
import { hostMatcher } from '#contract/match-host'
import type { EgressDestination } from './options.ts'

export type Destination = {
  readonly protocol: EgressProtocol
  readonly withoutServerName: boolean
  readonly encryptedClientHello: boolean
  readonly opened: readonly string[]
  readonly webSockets: boolean
  readonly credential?: string
}

/** The destination that takes a target, and by which port; or how near the nearest one came. */
export type Found =
  | { readonly destination: Destination; readonly port: number }
  | { readonly destination: undefined; readonly reason: Miss }
export type Miss = Extract<
  EgressReason,
  'not-listed' | 'port-not-listed' | 'method-or-path-not-listed' | 'address-not-listed'
>

const usualPorts = {
  tls: [443],
  'tls-inspected': [443],
  http: [80],
  https: [443],
  tcp: [443],
} as const satisfies Record<EgressProtocol, readonly number[]>

/** Compiles a list of destinations to the function that finds the one for a target; exact names cost one look-up. */
export const destinations = (
  options: readonly EgressDestination[],
): ((target: EgressTarget) => Found) => {
  const byName = new Map<string, Compiled[]>()
  const others: Compiled[] = []
  for (const option of options) {
    const compiled = compile(option)
    const names = 'hosts' in option ? option.hosts : []
    const exact = names.filter((name) => !name.includes('*'))
    for (const name of exact) byName.set(name, [...(byName.get(name) ?? []), compiled])
    if (exact.length < names.length || names.length === 0) others.push(compiled)
  }
  return (target) => {
    let reason: Miss = target.isAddress ? 'address-not-listed' : 'not-listed'
    let plain: Found | undefined
    const candidates = [...(byName.get(target.host) ?? []), ...others]
    for (const candidate of candidates) {
      const { destination } = candidate
      if (!candidate.isPlace(target) || !fitsKind(destination.protocol, target)) continue
      const port = portFor(destination.protocol, target)
      if (!candidate.ports.has(port)) {
        if (reason !== 'method-or-path-not-listed') reason = 'port-not-listed'
        continue
      }
      if (!candidate.isRequest(target)) {
        reason = 'method-or-path-not-listed'
        continue
      }
      const found: Found = { destination, port }
      if (destination.protocol !== 'http') return found
      plain ??= found // what may go over TLS does
    }
    return plain ?? { destination: undefined, reason }
  }
}

type Compiled = {
  readonly destination: Destination
  readonly ports: ReadonlySet<number>
  readonly isPlace: (target: EgressTarget) => boolean
  readonly isRequest: (target: EgressTarget) => boolean
}

const fitsKind = (protocol: EgressProtocol, { ask }: EgressTarget): boolean => {
  switch (ask.kind) {
    case 'tunnel':
      return protocol === 'tls' || protocol === 'tls-inspected' || protocol === 'tcp'
    case 'inspected':
      return protocol === 'tls-inspected'
    case 'request':
      return protocol === 'https' || (protocol === 'http' && ask.scheme === 'http')
    default:
      return ask satisfies never
  }
}

const httpPort = 80
const httpsPort = 443

/** Of `http://host/` that goes on over TLS the port is as much a default as the scheme. */
const portFor = (protocol: EgressProtocol, { ask, port }: EgressTarget): number =>
  protocol === 'https' && ask.kind === 'request' && ask.scheme === 'http' && port === httpPort
    ? httpsPort
    : port

const showsRequests = (protocol: EgressProtocol): boolean =>
  protocol === 'http' || protocol === 'https' || protocol === 'tls-inspected'

const compile = (option: EgressDestination): Compiled => {
  const { protocol, withoutServerName, encryptedClientHello, methods, paths, credential } = option
  if (!showsRequests(protocol) && (methods ?? paths) !== undefined)
    throw new TypeError('methods and paths cannot be seen in TLS and TCP that nobody looks into')
  const isInspected = protocol === 'tls-inspected'
  if (isInspected && 'networks' in option)
    throw new TypeError('TLS to an address cannot be inspected: certificates are for names')
  if (credential !== undefined && protocol !== 'https' && !isInspected)
    throw new TypeError('a credential goes out with `protocol: https` or `tls-inspected` alone')
  return {
    destination: {
      protocol,
      withoutServerName,
      encryptedClientHello,
      opened: 'networks' in option ? option.networks : (option.opens ?? []),
      webSockets: option.webSockets === true,
      ...(credential === undefined ? {} : { credential }),
    },
    ports: new Set(option.ports ?? usualPorts[protocol]),
    isPlace: placeMatcher(option),
    isRequest: requestMatcher(methods, paths),
  }
}

const placeMatcher = (option: EgressDestination): Compiled['isPlace'] => {
  if ('hosts' in option) {
    const matchers = option.hosts.map(hostMatcher)
    return ({ host, isAddress }) => !isAddress && matchers.some((matches) => matches(host))
  }
  const networks = option.networks.map(networkOf)
  return ({ host, isAddress }) => {
    const bytes = isAddress ? addressBytes(host) : undefined
    return bytes !== undefined && networks.some((network) => isWithin(network, bytes))
  }
}

const requestMatcher = (
  methods: readonly string[] | undefined,
  paths: readonly string[] | undefined,
): Compiled['isRequest'] => {
  const prefixes = paths?.map(prefixSegments)
  return ({ ask }) => {
    if (ask.kind === 'tunnel') return true
    if (methods && !methods.includes(ask.method)) return false
    if (!prefixes) return true
    const segments = segmentsOf(ask.path)
    return prefixes.some((prefix) => prefix.every((segment, i) => segment === segments[i]))
  }
}
