import { tick, type Finding } from '../faults.ts'
import type { Rule, Subject } from './rule.ts'

/**
 * No caller may become the gateway or the exchange by chance. A template such as `spiffe://mesh.example/{sub}` would give
 * their IDs to whoever can choose that name at the issuer. A rule without a claim in its ID names it on purpose: so a
 * gateway in Kubernetes is known by its service account.
 */
export const reservedIdentities: Rule = (subject) => {
  const reserved = reservedIds(subject)
  return subject.identities.flatMap(({ pointer, value, name }): Finding[] => {
    if (!value.spiffeId.includes('{')) return []
    const template = templatePattern(value.spiffeId)
    const taken = [...reserved].find((id) => template.test(id))
    if (taken === undefined) return []
    return [
      {
        pointer: `${pointer}/spiffeId`,
        at: 'value',
        message: `identity rule ${tick(name)} can give a caller the ID ${tick(taken)}, which is ours`,
        remedy: 'put a segment of its own before what comes from a claim, such as `/callers/{sub}`',
      },
    ]
  })
}

/** Every ID of a gateway or an exchange that the configuration names. */
const reservedIds = (subject: Subject): Set<string> => {
  const ids = [subject.text('/spiffeId'), subject.text('/exchange/spiffeId')]
  for (const { value } of subject.joinTokens) ids.push(value.spiffeId)
  ids.push(...subject.texts('/gateways'))
  return new Set(ids.filter((id) => id !== undefined))
}

/** What a template can give: a claim's value must be fit to stand in one path segment. */
const templatePattern = (template: string): RegExp => {
  const literal = template.split(/\{[^{}]+\}/).map((text) => RegExp.escape(text))
  return new RegExp(`^${literal.join('[A-Za-z0-9._-]+')}$`)
}
