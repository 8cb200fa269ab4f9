import { tick, type Finding } from '../faults.ts'
import type { Rule, Subject } from './rule.ts'

/** What browsers would not do, or what would open a route to every page that a user looks at. */
export const cors: Rule = ({ routes }) =>
  routes.flatMap((route) => [...credentialsForAll(route), ...methodsNotTaken(route)])

type Named = Subject['routes'][number]

const credentialsForAll = ({ pointer, name, value }: Named): Finding[] =>
  value.cors?.credentials && value.cors.origins.includes('*')
    ? [
        {
          pointer: `${pointer}/cors/credentials`,
          at: 'value',
          message: `route ${tick(name)} lets pages of every origin call with the cookies of whoever looks at them; no browser does that`,
          remedy: 'name the origins, or take `credentials` out',
        },
      ]
    : []

const methodsNotTaken = ({ pointer, name, value }: Named): Finding[] => {
  const taken = value.match.methods
  if (taken === undefined) return []
  return (value.cors?.methods ?? []).flatMap((method, i): Finding[] =>
    taken.includes(method)
      ? []
      : [
          {
            pointer: `${pointer}/cors/methods/${i}`,
            at: 'value',
            message: `route ${tick(name)} offers ${tick(method)} to pages of other origins and does not take it`,
            remedy: 'add it to `match.methods`, or take it out',
          },
        ],
  )
}
