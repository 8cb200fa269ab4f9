import { tick, type Finding } from '../faults.ts'
import type { Rule } from './rule.ts'

/** What is asked of an API server is about tokens of a cluster, and what proves us there goes nowhere else. */
export const tokenReviews: Rule = ({ issuers, issuerNames, tokenReviews: reviews }) => [
  ...reviews.flatMap(({ name, pointer }): Finding[] => {
    const issuer = issuers.find((one) => one.name === name)
    if (issuer === undefined)
      return issuerNames === undefined || issuerNames.includes(name)
        ? []
        : [
            {
              pointer,
              at: 'key',
              message: `there is no issuer ${tick(name)} whose tokens could be reviewed`,
              remedy: 'use the name of one of `issuers`',
            },
          ]
    return issuer.value.platform === 'kubernetes'
      ? []
      : [
          {
            pointer,
            at: 'key',
            message: `tokens of issuer ${tick(name)} are not those of a cluster, whose API server alone knows its own`,
            remedy: 'say `platform: kubernetes` of the issuer, or take this out',
          },
        ]
  }),
  ...issuers.flatMap(({ name, pointer, value }): Finding[] => {
    if (value.jwksTokenFile === undefined) return []
    const fault = (message: string, remedy: string): Finding[] => [
      { pointer: `${pointer}/jwksTokenFile`, at: 'key', message, remedy },
    ]
    if (value.jwksFile !== undefined || value.introspection !== undefined)
      return fault(
        `the keys of issuer ${tick(name)} are not fetched, so no token is needed`,
        'take it out',
      )
    return /^https:\/\//i.test(value.jwksUrl ?? value.issuer)
      ? []
      : fault(
          `the token for the keys of issuer ${tick(name)} would be sent over plain HTTP, where anyone on the way can take it`,
          'use https, or take it out',
        )
  }),
]
