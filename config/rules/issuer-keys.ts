import { tick, type Finding } from '../faults.ts'
import { pointerTo } from '../pointer.ts'
import type { Issuer, Route } from '../schema.ts'
import type { Entry, Rule } from './rule.ts'

/** Each issuer has one place to get its keys from, and it is not open to whoever sits on the way. */
export const issuerKeys: Rule = ({ issuers, routes, texts }) => {
  const plainPointer = '/unsafe/plainHttpIssuers'
  const allowed = texts(plainPointer)
  const found: Finding[] = []
  for (const { name, pointer, value } of issuers) {
    if (value.jwksUrl !== undefined && value.jwksFile !== undefined)
      found.push({
        pointer: `${pointer}/jwksFile`,
        at: 'key',
        message: `issuer ${tick(name)} has both \`jwksUrl\` and \`jwksFile\``,
        remedy: 'keep one of the two',
      })
    if (value.platform === 'spiffe') continue // its bundle has them
    if (value.introspection !== undefined) {
      found.push(...introspection({ name, pointer, value }, allowed))
      continue
    }
    if (value.jwksFile !== undefined) continue
    const [key, url] =
      value.jwksUrl === undefined ? ['issuer', value.issuer] : ['jwksUrl', value.jwksUrl]
    if (/^https:\/\//i.test(url)) continue
    if (!/^http:\/\//i.test(url))
      found.push({
        pointer: `${pointer}/${key}`,
        at: 'value',
        message: `the keys of issuer ${tick(name)} cannot be found: its \`issuer\` is no URL to discover them at`,
        remedy: 'add `jwksUrl` or `jwksFile`',
      })
    else if (!allowed.includes(name))
      found.push({
        pointer: `${pointer}/${key}`,
        at: 'value',
        message: `the keys of issuer ${tick(name)} would be fetched over plain HTTP, where anyone on the way can replace them`,
        remedy: `use https, or own up to it with \`unsafe: { plainHttpIssuers: [${name}] }\``,
      })
  }
  return [...found, ...twoToAsk(issuers, routes), ...warnings(allowed, plainPointer)]
}

/** An opaque token does not say whose it is, and shown to another issuer it would be given away. */
const twoToAsk = (
  issuers: readonly Entry<Issuer>[],
  routes: readonly Entry<Route>[],
): Finding[] => {
  const asked = new Set(issuers.filter(({ value }) => value.introspection).map(({ name }) => name))
  return routes.flatMap(({ name, pointer, value }): Finding[] => {
    if (value.authenticate === 'none') return []
    const [first, second] = value.authenticate.issuers.filter((issuer) => asked.has(issuer))
    if (first === undefined || second === undefined) return []
    return [
      {
        pointer: `${pointer}/authenticate/issuers`,
        at: 'value',
        message: `route ${tick(name)} takes tokens of ${tick(first)} and of ${tick(second)}, and an opaque token does not say which of them to ask`,
        remedy: 'make a route for each',
      },
    ]
  })
}

/** Who is asked about each token needs no keys; what is asked carries the token. */
const introspection = (
  { name, pointer, value }: Entry<Issuer>,
  allowedPlainHttp: readonly string[],
): Finding[] => {
  const found: Finding[] = []
  for (const key of ['jwksUrl', 'jwksFile'] as const)
    if (value[key] !== undefined)
      found.push({
        pointer: `${pointer}/${key}`,
        at: 'key',
        message: `issuer ${tick(name)} is asked about its tokens by \`introspection\`, so its keys are not used`,
        remedy: 'keep one of the two',
      })
  if (value.platform !== 'oidc')
    found.push({
      pointer: `${pointer}/platform`,
      at: 'value',
      message: `issuer ${tick(name)} has \`introspection\`, and tokens of ${value.platform} are checked by its keys`,
      remedy: 'take one of the two out',
    })
  const { endpoint } = value.introspection ?? { endpoint: '' }
  if (!/^https:\/\//i.test(endpoint) && !allowedPlainHttp.includes(name))
    found.push({
      pointer: `${pointer}/introspection/endpoint`,
      at: 'value',
      message: `tokens of issuer ${tick(name)} would be sent over plain HTTP, where anyone on the way can take them`,
      remedy: `use https, or own up to it with \`unsafe: { plainHttpIssuers: [${name}] }\``,
    })
  return found
}

const warnings = (names: readonly string[], pointer: string): Finding[] =>
  names.map((name, i) => ({
    severity: 'warning',
    pointer: pointerTo(pointer, i),
    at: 'value',
    message: `the keys of issuer ${tick(name)} may come over plain HTTP: anyone on the way can make tokens that are accepted`,
    remedy: 'use https before this serves anyone but you',
  }))
