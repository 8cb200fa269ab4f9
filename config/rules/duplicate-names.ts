import { tick, type Finding } from '../faults.ts'
import type { Entry, Rule } from './rule.ts'

/** Records and metrics name routes and identity rules, and a token's `iss` leads to one issuer: each name stands for one thing. */
export const duplicateNames: Rule = ({ routes, identities, issuers }) => [
  ...twice(routes, ({ value }) => value.id, 'id', 'route'),
  ...twice(identities, ({ value }) => value.name, 'name', 'identity rule'),
  ...twice(issuers, ({ value }) => value.issuer, 'issuer', 'issuer'),
]

const twice = <Value>(
  entries: readonly Entry<Value>[],
  nameOf: (entry: Entry<Value>) => string,
  key: string,
  what: string,
): Finding[] => {
  const seen = new Map<string, Entry<Value>>()
  return entries.flatMap((entry) => {
    const name = nameOf(entry)
    const first = seen.get(name)
    if (first === undefined) {
      seen.set(name, entry)
      return []
    }
    return [
      {
        pointer: `${entry.pointer}/${key}`,
        at: 'value' as const,
        message: `another ${what} has the ${key} ${tick(name)} too (${first.pointer.slice(1).replaceAll('/', '.')})`,
        remedy: `give each ${what} its own`,
      },
    ]
  })
}
