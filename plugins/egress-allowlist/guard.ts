import { pass, refuse, type Refusal } from '#contract/problem'
import type {
  EgressAllowlist,
  EgressDecision,
  EgressProtocol,
  EgressReason,
  EgressTarget,
  JudgedAddress,
} from '#contract/egress'
import { networkOf } from '#contract/ip-address'
import { addressClasses } from './address-class.ts'
import { destinations, type Destination, type Found, type Miss } from './destinations.ts'
import { hostMatcher } from '#contract/match-host'
import type { EgressAllowlistOptions, EgressDenial } from './options.ts'
import { metadataNames } from './special-ranges.ts'
import { ruleFinder, type CompiledRule } from './rules.ts'

/** What is let through without being listed goes to the web's own ports alone: 22, 25 and others are never implied. */
const impliedPorts: ReadonlySet<number> = new Set([80, 443])

/**
 * Judges where workloads may go: what is denied to all, then the workload's rule, then what is allowed to all, then the
 * rule's mode. What nothing allows is refused.
 *
 * @param isOwn Whether a listener of this gateway is there, so that nothing runs in a circle.
 * @throws TypeError for a pattern, network or rule that cannot be meant.
 */
export const egressAllowlist = (
  options: EgressAllowlistOptions,
  isOwn: (address: string, port: number) => boolean = () => false,
): EgressAllowlist => {
  const denials = options.deny.map(denial)
  const forAll = destinations(options.allow)
  const ruleOf = ruleFinder(options.rules)
  const { classOf, isIn } = addressClasses(options.nat64Prefixes)
  const networksOf = memoized((cidr) => networkOf(cidr))

  return {
    decide: (target) => {
      const { host, port } = target
      if (metadataNames.has(host)) return deny(target, 'metadata', 'none')
      const denied = denials.find((entry) => entry.deniesHost(host, port))
      if (denied) return deny(target, 'denied', denied.id)
      const rule = ruleOf(target.spiffeId)
      if (!rule) return deny(target, 'no-rule', 'none')
      const own = rule.find(target)
      if (own.destination) return pass(decided(rule, 'listed', own.destination, own.port))
      const common = forAll(target)
      if (common.destination)
        return pass(decided(rule, 'listed-for-all', common.destination, common.port))
      const reason = nearer(own, common)
      if (rule.mode === 'enforce' || target.isAddress || !impliedPorts.has(port))
        return deny(target, reason, rule.id)
      const implied = impliedDestination(target)
      return rule.mode === 'open'
        ? pass(decided(rule, 'open', implied, port))
        : pass({ ...decided(rule, reason, implied, port), wouldRefuse: reason })
    },
    judgeAddress: (address, port, opened): JudgedAddress => {
      const kind = isOwn(address, port)
        ? 'own-listener'
        : denials.some((entry) => entry.deniesAddress(address, port, isIn))
          ? 'denied'
          : classOf(address, opened.map(networksOf))
      return { address, class: kind, isAllowed: kind === 'public' }
    },
  }
}

type Denied = {
  readonly id: string
  readonly deniesHost: (host: string, port: number) => boolean
  readonly deniesAddress: (
    address: string,
    port: number,
    isIn: ReturnType<typeof addressClasses>['isIn'],
  ) => boolean
}

const denial = (option: EgressDenial): Denied => {
  const ports = option.ports && new Set(option.ports)
  const isPort = (port: number) => ports === undefined || ports.has(port)
  const never = () => false
  if ('hosts' in option) {
    const matchers = option.hosts.map(hostMatcher)
    return {
      id: option.id,
      deniesHost: (host, port) => isPort(port) && matchers.some((matches) => matches(host)),
      deniesAddress: never,
    }
  }
  const networks = option.networks.map(networkOf)
  return {
    id: option.id,
    deniesHost: never,
    deniesAddress: (address, port, isIn) => isPort(port) && isIn(address, networks),
  }
}

const decided = (
  { id, team, mode }: CompiledRule,
  reason: EgressReason,
  destination: Destination,
  port: number,
): EgressDecision => ({ reason, rule: id, team, mode, ...destination, port })

const impliedDestination = ({ ask }: EgressTarget): Destination => ({
  protocol: impliedProtocol(ask),
  withoutServerName: false,
  encryptedClientHello: false,
  opened: [],
  webSockets: false,
})

const impliedProtocol = (ask: EgressTarget['ask']): EgressProtocol => {
  switch (ask.kind) {
    case 'tunnel':
      return 'tls'
    case 'inspected':
      return 'tls-inspected'
    case 'request':
      return ask.scheme
    default:
      return ask satisfies never
  }
}

/** Of two lists that do not have it, the one that came nearer tells why. */
const nearer = (own: Found, common: Found): Miss => {
  const reasons = [own, common].flatMap((found) => (found.destination ? [] : [found.reason]))
  for (const reason of ['method-or-path-not-listed', 'port-not-listed'] as const)
    if (reasons.includes(reason)) return reason
  return reasons[0] ?? 'not-listed'
}

const deny = (target: EgressTarget, reason: EgressReason, rule: string): Refusal =>
  refuse('destination-denied', {
    detail: `${target.spiffeId} may not go to ${placeOf(target)}: ${words[reason](rule)}.`,
    cause: { reason, rule },
  })

const placeOf = ({ host, port, ask }: EgressTarget): string => {
  const place = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  return ask.kind === 'tunnel' ? place : `${place} with ${ask.method} ${ask.path}`
}

/** Each says which rule it was, so that whoever reads it knows what to ask for. */
const words: Record<EgressReason, (rule: string) => string> = {
  metadata: () => 'metadata endpoints are closed to everyone, whatever the rules say',
  denied: (rule) => `\`deny\` entry \`${rule}\` closes it to everyone`,
  'no-rule': () => 'no rule is for this workload',
  'not-listed': (rule) => `rule \`${rule}\` does not list this host`,
  'address-not-listed': (rule) =>
    `rule \`${rule}\` does not list this address; use the host's name, or list the network`,
  'port-not-listed': (rule) => `rule \`${rule}\` lists this host for other ports only`,
  'method-or-path-not-listed': (rule) =>
    `rule \`${rule}\` lists this host for other methods or paths only`,
  listed: (rule) => `rule \`${rule}\` lists it`,
  'listed-for-all': () => 'it is listed for everyone',
  open: (rule) => `rule \`${rule}\` is open`,
}

/** Few networks are asked about again and again. */
const memoized = <T>(make: (key: string) => T): ((key: string) => T) => {
  const known = new Map<string, T>()
  return (key) => {
    const found = known.get(key)
    if (found !== undefined) return found
    const made = make(key)
    known.set(key, made)
    return made
  }
}
