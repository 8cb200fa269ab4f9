import { isDeepStrictEqual } from 'node:util'
import { faultOfHostPattern } from '#contract/host-pattern'
import { coversHosts } from '#contract/match-host'
import { parseSpiffeId, trustDomainOf } from '#contract/spiffe-id'
import { quote, tick, type Finding } from './faults.ts'
import { pointerTo } from './pointer.ts'
import { egressDestinations, type Entry, type Subject } from './rules/rule.ts'
import type { Issuer } from './schema.ts'

/** A finding in the one or the other of two configurations. */
export type Disagreement = Finding & { readonly in: 'gateway' | 'exchange' }

/**
 * Finds where a gateway and its exchange drifted apart. Each by itself may be right; together they would refuse callers
 * at run time with `identity-drift` or `identity-unavailable`.
 */
export const disagreements = (gateway: Subject, exchange: Subject): readonly Disagreement[] => [
  ...trustDomains(gateway, exchange),
  ...acquaintance(gateway, exchange),
  ...issuers(gateway, exchange),
  ...identities(gateway, exchange),
  ...audiences(gateway, exchange),
  ...legacyCredentials(gateway, exchange),
  ...inspectedHosts(gateway, exchange),
]

const trustDomains = (gateway: Subject, exchange: Subject): Disagreement[] => {
  const [ours, theirs] = [gateway.text('/trustDomain'), exchange.text('/trustDomain')]
  if (ours === undefined || theirs === undefined || ours === theirs) return []
  return [
    {
      in: 'gateway',
      pointer: '/trustDomain',
      at: 'value',
      message: `the trust domain is ${quote(ours)} here and ${quote(theirs)} at the exchange`,
      remedy: 'let both `include:` one file that says it',
    },
  ]
}

/** Each knows the other by its SPIFFE ID. */
const acquaintance = (gateway: Subject, exchange: Subject): Disagreement[] => {
  const found: Disagreement[] = []
  const gatewayId = gateway.text('/spiffeId')
  const gateways = exchange.texts('/gateways')
  if (gatewayId !== undefined && gateways.length > 0 && !gateways.includes(gatewayId))
    found.push({
      in: 'exchange',
      pointer: '/gateways',
      at: 'key',
      message: `the gateway ${quote(gatewayId)} is not among \`gateways\`, so it may not ask on behalf of others`,
      remedy: 'add it',
    })
  const expected = gateway.text('/exchange/spiffeId')
  const actual = exchange.text('/spiffeId')
  if (expected !== undefined && actual !== undefined && expected !== actual)
    found.push({
      in: 'gateway',
      pointer: '/exchange/spiffeId',
      at: 'value',
      message: `the gateway expects ${quote(expected)} where the exchange is ${quote(actual)}`,
      remedy: 'say the same in both',
    })
  const joins = gateway.has('/identity/joinTokenFile')
  const expectsJoin = exchange.joinTokens.some(({ value }) => value.spiffeId === gatewayId)
  if (joins && gatewayId !== undefined && !expectsJoin)
    found.push({
      in: 'exchange',
      severity: 'warning',
      pointer: '/joinTokens',
      at: 'key',
      message: `there is no join token for ${quote(gatewayId)}, which takes its first certificate from here`,
      remedy: 'add one to `joinTokens`, unless you hand it one in another way',
    })
  const byPlatform = gateway.has('/identity/tokenFile')
  const isNamed = exchange.identities.some(({ value }) => value.spiffeId === gatewayId)
  if (byPlatform && gatewayId !== undefined && !isNamed)
    found.push({
      in: 'exchange',
      pointer: '/identities',
      at: 'key',
      message: `no identity rule is for ${quote(gatewayId)}, which takes its certificates from here by the token of its platform`,
      remedy: `add one whose \`spiffeId\` is that, and that matches its service account`,
    })
  return found
}

// Each process has its own disk and its own need to look for new keys.
const ownAffairs = [
  'jwksFile',
  'jwksTokenFile',
  'caFile',
  'refreshSeconds',
  'maxStaleSeconds',
  'policyClaims',
  'introspection',
]

const issuers = (gateway: Subject, exchange: Subject): Disagreement[] =>
  gateway.issuers.flatMap((issuer) => {
    const known = exchange.issuerNames
    if (known === undefined) return []
    if (!known.includes(issuer.name))
      return {
        in: 'gateway',
        pointer: issuer.pointer,
        at: 'key',
        message: `the exchange does not know the issuer ${tick(issuer.name)}, so it mints for none of its callers`,
        remedy: 'let both `include:` one file with the issuers',
      }
    const other = exchange.issuers.find(({ name }) => name === issuer.name)
    return other === undefined
      ? []
      : [...differences('issuer', issuer, other, ownAffairs), ...introspections(issuer, other)]
  })

/** Credentials and caches may differ, but not whether it is asked, where, and how its answers are read. */
const introspections = (ours: Entry<Issuer>, theirs: Entry<Issuer>): Disagreement[] => {
  const essence = ({ introspection: asked }: Issuer) =>
    asked && [asked.endpoint, asked.subject, [...asked.mayOmit].sort()]
  if (isDeepStrictEqual(essence(ours.value), essence(theirs.value))) return []
  return [
    {
      in: 'gateway',
      pointer: ours.value.introspection ? pointerTo(ours.pointer, 'introspection') : ours.pointer,
      at: 'key',
      message: `\`endpoint\`, \`subject\` and \`mayOmit\` of \`introspection\` of issuer ${tick(ours.name)} are not the same at the exchange`,
      remedy: 'say the same in both, best in one file that both `include:`',
    },
  ]
}

const identities = (gateway: Subject, exchange: Subject): Disagreement[] => {
  const trusted = new Set(gateway.issuerNames)
  const theirs = exchange.identities.filter(({ value }) => trusted.has(value.issuer))
  const lacking = (own: Entry<unknown>, where: 'gateway' | 'exchange'): Disagreement => ({
    in: where,
    pointer: own.pointer,
    at: 'value',
    message: `the ${where === 'gateway' ? 'exchange' : 'gateway'} does not have the identity rule ${tick(own.name)}`,
    remedy: 'let both `include:` one file with the identities',
  })
  return [
    ...gateway.identities.flatMap((rule) => {
      const other = theirs.find(({ name }) => name === rule.name)
      return other === undefined
        ? lacking(rule, 'gateway')
        : differences('identity rule', rule, other, [])
    }),
    ...theirs
      .filter(({ name }) => !gateway.identities.some((rule) => rule.name === name))
      .map((rule) => lacking(rule, 'exchange')),
  ]
}

const differences = <Value extends object>(
  what: string,
  ours: Entry<Value>,
  theirs: Entry<Value>,
  except: readonly string[],
): Disagreement[] => {
  const [own, other] = [new Map(Object.entries(ours.value)), new Map(Object.entries(theirs.value))]
  return [...new Set([...own.keys(), ...other.keys()])]
    .filter((key) => !except.includes(key) && !isDeepStrictEqual(own.get(key), other.get(key)))
    .map((key) => ({
      in: 'gateway',
      pointer: pointerTo(ours.pointer, key),
      at: 'key',
      message: `${tick(key)} of ${what} ${tick(ours.name)} is not the same at the exchange`,
      remedy: 'say the same in both, best in one file that both `include:`',
    }))
}

/** By what a gateway's callers prove who they are, the exchange takes from gateways. */
const legacyCredentials = (gateway: Subject, exchange: Subject): Disagreement[] => {
  const taken = exchange.texts('/legacy/atGateways')
  return gateway.routes.flatMap(({ name, pointer, value }) => {
    const methods = value.authenticate === 'none' ? [] : (value.authenticate.legacy ?? [])
    return methods.flatMap((method, i): Disagreement[] =>
      taken.includes(method)
        ? []
        : [
            {
              in: 'gateway',
              pointer: `${pointer}/authenticate/legacy/${i}`,
              at: 'value',
              message: `route ${tick(name)} takes ${tick(method)}, and the exchange knows nobody by that from gateways`,
              remedy: `add \`${method}\` to \`legacy.atGateways\` of the exchange`,
            },
          ],
    )
  })
}

/** Every host whose TLS a gateway looks into is one that the exchange certifies. */
const inspectedHosts = (gateway: Subject, exchange: Subject): Disagreement[] => {
  const certified = exchange
    .texts('/inspection/hosts')
    .filter((pattern) => faultOfHostPattern(pattern) === undefined)
  const isCertified = (host: string) =>
    faultOfHostPattern(host) !== undefined || // which is said where it stands
    certified.some((pattern) => coversHosts(pattern, host))
  return egressDestinations(gateway).flatMap(({ pointer, value }) => {
    if (value.protocol !== 'tls-inspected' || !('hosts' in value)) return []
    return value.hosts.flatMap((host, i): Disagreement[] =>
      isCertified(host)
        ? []
        : [
            {
              in: 'gateway',
              pointer: `${pointer}/hosts/${i}`,
              at: 'value',
              message: `the exchange certifies no inspection of ${quote(host)}, so nobody gets there`,
              remedy: 'add it to `inspection.hosts` of the exchange',
            },
          ],
    )
  })
}

/** Every audience that a route, or a credential on the way out, asks for is one that the exchange mints for. */
const audiences = (gateway: Subject, exchange: Subject): Disagreement[] => {
  const domain = exchange.text('/trustDomain')
  const allowed = exchange.texts('/audiences')
  const asked = [
    ...gateway.routes.map(({ pointer, value: { authenticate, identity } }) => ({
      pointer: `${pointer}/identity/audience`,
      // By default it is the upstream's SPIFFE ID, which another rule holds to the trust domain.
      audience: authenticate === 'none' ? undefined : identity.audience,
    })),
    ...gateway.egressCredentials.map(({ pointer, value }) => ({
      pointer: `${pointer}/audience`,
      audience: value.kind === 'token-exchange' ? value.audience : undefined,
    })),
  ]
  return asked.flatMap(({ pointer, audience }): Disagreement[] => {
    if (audience === undefined || allowed.includes(audience)) return []
    const id = parseSpiffeId(audience)
    if (domain === undefined || (id.ok && trustDomainOf(id.value) === domain)) return []
    return [
      {
        in: 'gateway',
        pointer,
        at: 'value',
        message: `the exchange mints no token for the audience ${quote(audience)}`,
        remedy: 'add it to `audiences` of the exchange',
      },
    ]
  })
}
