import { routePrecedence } from '#contract/route-order'
import type { Route } from '../schema.ts'
import { tick, type Finding } from '../faults.ts'
import { pathIndex } from './path-index.ts'
import { commonPath, coversPath, pathSetOf, type PathSet } from './path-shape.ts'
import { maxPairs, type Entry, type Rule } from './rule.ts'

type Candidate = {
  readonly route: Entry<Route>
  readonly host: string
  readonly paths: PathSet
  readonly methods: readonly string[] | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly precedence: number
}

/**
 * Of two routes that match one request the more specific takes it (contract/route-order.ts). Where neither is, nobody
 * could say which: that is a fault. So is a route that never gets a request, because one that is tried before it takes
 * them all.
 *
 * Only routes of the same host are compared: an exact host goes before a wildcard without taking all that it takes, and
 * two wildcards of one label each never match the same host.
 */
export const conflictingRoutes: Rule = ({ routes }) => {
  const found: Finding[] = []
  const told = new Set<string>()
  for (const ofHost of byHost(routes).values()) {
    const index = pathIndex<Candidate>()
    for (const candidate of ofHost) {
      index.overlapping(candidate.paths, (other) => {
        const pair = `${candidate.route.pointer} ${other.route.pointer}`
        if (found.length >= maxPairs || told.has(pair)) return // on another host that they have in common
        const finding = conflict(candidate, other)
        if (finding === undefined) return
        told.add(pair)
        found.push(finding)
      })
      index.add(candidate.paths, candidate)
    }
  }
  return found
}

const byHost = (routes: readonly Entry<Route>[]): Map<string, Candidate[]> => {
  const hosts = new Map<string, Candidate[]>()
  for (const route of routes) {
    const { match } = route.value
    const { path, methods, headers = {} } = match
    const precedence = routePrecedence(match)
    for (const host of new Set(match.hosts)) {
      const candidate = { route, host, paths: pathSetOf(path), methods, headers, precedence }
      const ofHost = hosts.get(host)
      if (ofHost === undefined) hosts.set(host, [candidate])
      else ofHost.push(candidate)
    }
  }
  return hosts
}

const conflict = (later: Candidate, earlier: Candidate): Finding | undefined => {
  if (later.precedence === earlier.precedence) return ambiguity(later, earlier)
  const [first, second] =
    later.precedence > earlier.precedence ? [later, earlier] : [earlier, later]
  if (!coversPath(first.paths, second.paths) || !coversRest(first, second)) return undefined
  return {
    pointer: `${second.route.pointer}/match`,
    at: 'key',
    message: `route ${tick(second.route.name)} is never reached on ${second.host}: route ${tick(first.route.name)} is tried before it and takes all its requests`,
    remedy: 'narrow that one, or take this one out',
  }
}

const ambiguity = (a: Candidate, b: Candidate): Finding | undefined => {
  const path = commonPath(a.paths, b.paths)
  const method = commonMethod(a.methods, b.methods)
  if (path === undefined || method === undefined || !headersAgree(a.headers, b.headers))
    return undefined
  const headers = Object.entries({ ...a.headers, ...b.headers })
  const withHeaders = headers.map(([name, value]) => ` ${name}: ${value}`).join(',')
  return {
    pointer: `${a.route.pointer}/match`,
    at: 'key',
    message: `routes ${tick(b.route.name)} and ${tick(a.route.name)} both match \`${method} ${path}\` on ${a.host}${headers.length > 0 ? ` with${withHeaders}` : ''}, and neither is more specific`,
    remedy: 'tell them apart by path, method or header',
  }
}

/** Whether `first` takes, of the paths it takes, every method and header that `second` does. */
const coversRest = (first: Candidate, second: Candidate): boolean => {
  const { methods, headers } = first
  const coversMethods =
    methods === undefined || second.methods?.every((method) => methods.includes(method)) === true
  return (
    coversMethods &&
    Object.entries(headers).every(([name, value]) => second.headers[name] === value)
  )
}

const commonMethod = (
  a: readonly string[] | undefined,
  b: readonly string[] | undefined,
): string | undefined => {
  if (a === undefined || b === undefined) return a?.[0] ?? b?.[0] ?? 'GET'
  return a.find((method) => b.includes(method))
}

const headersAgree = (a: Candidate['headers'], b: Candidate['headers']): boolean =>
  Object.entries(a).every(([name, value]) => !Object.hasOwn(b, name) || b[name] === value)
