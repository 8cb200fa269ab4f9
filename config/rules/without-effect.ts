import { tick, type Finding } from '../faults.ts'
import type { Rule, Subject } from './rule.ts'

/** What was written and can do nothing was meant to do something. */
export const withoutEffect: Rule = (subject) => [
  ...certificatesWithoutRoots(subject),
  ...limitsWithoutCaller(subject),
  ...staleBeforeRefreshed(subject),
  ...unusedUpstreams(subject),
  ...unmappedIssuers(subject),
]

const clientCertificates = '/listeners/ingress/tls/clientCertificates'

const certificatesWithoutRoots = ({ routes, has }: Subject): Finding[] =>
  has(`${clientCertificates}/rootsFile`) || has(`${clientCertificates}/trustDomains/0`)
    ? []
    : routes
        .filter(({ value }) => value.clientCertificate !== undefined)
        .map(({ pointer, name }) => ({
          pointer: `${pointer}/clientCertificate`,
          at: 'key',
          message: `route ${tick(name)} wants a client certificate, and there is nothing that one could lead to: nobody gets in`,
          remedy: 'name roots with `listeners.ingress.tls.clientCertificates: { rootsFile: … }`',
        }))

const limitsWithoutCaller = ({ routes }: Subject): Finding[] =>
  routes
    .filter(({ value }) => value.authenticate === 'none' && value.limits.caller !== undefined)
    .map(({ pointer, name }) => ({
      pointer: `${pointer}/limits/caller`,
      at: 'key',
      message: `route ${tick(name)} limits each caller, and with \`authenticate: none\` it knows none`,
      remedy: 'use `limits: { route: … }`, or the `limits: { address: … }` of the gateway',
    }))

const staleBeforeRefreshed = ({ issuers }: Subject): Finding[] =>
  issuers
    .filter(({ value }) => value.maxStaleSeconds < value.refreshSeconds)
    .map(({ pointer, name, value }) => ({
      pointer: `${pointer}/maxStaleSeconds`,
      at: 'value',
      message: `the keys of issuer ${tick(name)} are too old after ${value.maxStaleSeconds} s and fetched again only after ${value.refreshSeconds} s`,
      remedy: 'raise `maxStaleSeconds` above `refreshSeconds`',
    }))

const unusedUpstreams = ({
  kind,
  upstreams,
  upstreamNames = [],
  routes,
  pointersIn,
}: Subject): Finding[] => {
  const used = new Set(routes.map(({ value }) => value.upstream))
  // A route that could not be read, or names an upstream that is not there, may have meant it.
  const known = [...used].every((name) => upstreamNames.includes(name))
  if (kind !== 'gateway' || !known || pointersIn('routes').length > routes.length) return []
  return upstreams
    .filter(({ name }) => !used.has(name))
    .map(({ pointer, name }) => ({
      severity: 'warning',
      pointer,
      at: 'key',
      message: `no route leads to the upstream ${tick(name)}`,
      remedy: 'add a route, or take it out',
    }))
}

const unmappedIssuers = ({
  routes,
  identities,
  issuerNames = [],
  pointersIn,
}: Subject): Finding[] => {
  const mapped = new Set(identities.map(({ value }) => value.issuer))
  const known = [...mapped].every((name) => issuerNames.includes(name))
  if (!known || pointersIn('identities').length > identities.length) return []
  return routes.flatMap(({ pointer, name, value }) => {
    if (value.authenticate === 'none') return []
    return value.authenticate.issuers.flatMap((issuer, i): Finding[] => {
      if (mapped.has(issuer) || !issuerNames.includes(issuer)) return []
      return [
        {
          severity: 'warning',
          pointer: `${pointer}/authenticate/issuers/${i}`,
          at: 'value',
          message: `no identity rule is for issuer ${tick(issuer)}, so route ${tick(name)} refuses all callers of it`,
          remedy: 'add a rule to `identities`',
        },
      ]
    })
  })
}
