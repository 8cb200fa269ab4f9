import { headerOf, type RequestHead } from '#contract/request-head'
import { pass, refuse, type Result } from '#contract/problem'
import type { Step } from '#contract/step'
import { routePrecedence } from '#contract/route-order'
import type { CompiledRoute } from './compiled-route.ts'
import { pathTree, type PathTree } from './path-tree.ts'

export type RouteTable = {
  readonly add: (route: CompiledRoute) => void
  /** A step refusing with `route-unknown`, or with `method-not-allowed` where only the method does not fit. */
  readonly find: Step<{ readonly head: RequestHead }, CompiledRoute>
}

/**
 * Finds the route of a request by host, path, method and header. Its cost does not grow with the number of routes: hosts
 * are looked up, paths walked down a tree, and only the few routes that end on the way are compared.
 */
export const routeTable = (): RouteTable => {
  const trees = new Map<string, PathTree<Candidate>>()
  return { add: (route) => addTo(trees, route), find: finderIn(trees) }
}

type Trees = Map<string, PathTree<Candidate>>

const finderIn =
  (trees: Trees): RouteTable['find'] =>
  ({ head }) => {
    let fitting: CompiledRoute | undefined
    let allowed: Set<string> | undefined
    let best = -1
    const consider = ({ route, precedence }: Candidate) => {
      const { methods, headers } = route.config.match
      if (headers && !hasHeaders(head, headers)) return
      if (methods && !methods.includes(head.method)) {
        allowed ??= new Set()
        for (const method of methods) allowed.add(method)
        return
      }
      if (precedence <= best) return
      best = precedence
      fitting = route
    }
    trees.get(head.host)?.visit(head.path, consider)
    if (fitting) return pass(fitting) // an exact host wins over a wildcard
    const dot = head.host.indexOf('.')
    if (dot >= 0) trees.get(`*${head.host.slice(dot)}`)?.visit(head.path, consider)
    return fitting ? pass(fitting) : unmatched(allowed)
  }

type Candidate = { readonly route: CompiledRoute; readonly precedence: number }

const unmatched = (allowed: ReadonlySet<string> | undefined): Result<never> =>
  allowed
    ? refuse('method-not-allowed', { headers: { Allow: [...allowed].sort().join(', ') } })
    : refuse('route-unknown')

const hasHeaders = (head: RequestHead, wanted: Readonly<Record<string, string>>): boolean => {
  for (const name of Object.keys(wanted)) if (headerOf(head, name) !== wanted[name]) return false
  return true
}

/** By host, or wildcard one label up. */
const addTo = (trees: Trees, route: CompiledRoute): void => {
  const precedence = routePrecedence(route.config.match)
  for (const host of route.config.match.hosts) {
    const name = host.toLowerCase()
    const tree = trees.get(name) ?? pathTree()
    trees.set(name, tree)
    tree.add(route.config.match.path, { route, precedence })
  }
}
