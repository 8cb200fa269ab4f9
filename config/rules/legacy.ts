import { parseSpiffeId, trustDomainOf } from '#contract/spiffe-id'
import { tick, type Finding } from '../faults.ts'
import type { Rule, Subject } from './rule.ts'

/** Legacy callers are marked by their SPIFFE ID, and nobody else is meant by it or by their name. */
export const legacy: Rule = (subject) => [...callers(subject), ...routesOf(subject)]

/** A route lets somebody in, and what it takes can come. */
const routesOf = ({ routes, has }: Subject): Finding[] =>
  routes.flatMap(({ name, pointer, value }): Finding[] => {
    if (value.authenticate === 'none') return []
    const { issuers, legacy: methods, bound } = value.authenticate
    const found: Finding[] = []
    const fault = (key: string, message: string, remedy: string) =>
      found.push({ pointer: `${pointer}/authenticate${key}`, at: 'key', message, remedy })
    if (issuers.length === 0 && methods === undefined)
      fault(
        '',
        `route ${tick(name)} does not say whom it lets in`,
        'name `issuers` or `legacy` credentials, or write `authenticate: none` to let strangers in',
      )
    if (methods !== undefined && bound === 'required')
      fault(
        '/bound',
        `route ${tick(name)} wants tokens that are bound to a key, and takes credentials that are bound to nothing`,
        'take one of `bound` and `legacy` out',
      )
    if (methods?.includes('client_certificate') && !has(clientCertificates))
      fault(
        '/legacy',
        `route ${tick(name)} takes client certificates, and the listener asks nobody for one`,
        'write `listeners.ingress.tls.clientCertificates: {}`',
      )
    return found
  })

const clientCertificates = '/listeners/ingress/tls/clientCertificates'

const callers = ({ legacyCallers, clients, text, texts }: Subject): Finding[] => {
  const domain = text('/trustDomain')
  const ours = [text('/spiffeId'), ...texts('/gateways')]
  const seen = new Map<string, string>()
  return legacyCallers.flatMap(({ name, pointer, value }): Finding[] => {
    const { spiffeId, credential } = value
    const found: Finding[] = []
    const fault = (message: string, remedy: string, at = `${pointer}/spiffeId`) =>
      found.push({ pointer: at, at: 'value', message, remedy })
    const id = parseSpiffeId(spiffeId)
    if (!id.ok) return []
    if (domain !== undefined && trustDomainOf(id.value) !== domain)
      fault(
        `${tick(spiffeId)} is not in the trust domain ${tick(domain)}`,
        `begin it with \`spiffe://${domain}/\``,
      )
    if (!spiffeId.split('/').slice(3).includes('legacy'))
      fault(
        `${tick(spiffeId)} does not say that ${tick(name)} is a legacy caller`,
        'give its path a segment `legacy`, such as `/legacy/NAME`',
      )
    const earlier = seen.get(spiffeId)
    seen.set(spiffeId, name)
    if (earlier !== undefined || ours.includes(spiffeId))
      fault(
        `${tick(spiffeId)} is ${earlier === undefined ? 'a gateway or the exchange' : `caller ${tick(earlier)}`} already`,
        'give each its own',
      )
    if (name === 'self' || clients.some((client) => client.name === name))
      found.push({
        pointer,
        at: 'key',
        message: `${tick(name)} is the name of somebody else in records and grants`,
        remedy: 'give it another name',
      })
    if (
      credential.method === 'signed_request' &&
      (credential.jwksFile === undefined) === (credential.secret === undefined)
    )
      found.push({
        pointer: `${pointer}/credential`,
        at: 'key',
        message: 'a signed request is checked by either a public key or a shared secret',
        remedy: 'write one of `jwksFile` and `secret`',
      })
    return found
  })
}
