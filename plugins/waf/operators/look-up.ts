import type { Operator } from './operator.ts'

/**
 * `@geoLookup`, `@rbl NAME`, `@gsbLookup`: ask a database or the network, which this engine has none of on the way of
 * a request. They load, never match, and `waf check` names them. CRS v3.3 has one of each in rules that are off by default.
 */
export const lookUp: Operator = () => ({ test: () => false })
