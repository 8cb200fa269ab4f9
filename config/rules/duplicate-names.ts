import { tick, type Finding } from '../faults.ts'
import { readablePath } from '../pointer.ts'
import type { Rule } from './rule.ts'

/**
 * Records and metrics name routes and identity rules, and a token's `iss` leads to one issuer: each name stands for one
 * thing.
 */
export const duplicateNames: Rule = ({ pointersIn, text }) => {
  const twice = (section: 'routes' | 'identities' | 'issuers', key: string, what: string) => {
    const seen = new Map<string, string>()
    return pointersIn(section).flatMap((pointer): Finding[] => {
      const name = text(`${pointer}/${key}`)
      if (name === undefined) return []
      const first = seen.get(name)
      seen.set(name, first ?? pointer)
      if (first === undefined) return []
      return [
        {
          pointer: `${pointer}/${key}`,
          at: 'value',
          message: `${readablePath(first)} has the ${key} ${tick(name)} too`,
          remedy: `give each ${what} its own`,
        },
      ]
    })
  }
  return [
    ...twice('routes', 'id', 'route'),
    ...twice('identities', 'name', 'identity rule'),
    ...twice('issuers', 'issuer', 'issuer'),
  ]
}
