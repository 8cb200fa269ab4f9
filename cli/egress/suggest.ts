import { findFormat } from '#config/formats'
import type { EgressProtocol } from '#contract/egress'
import type { Seen } from './seen.ts'

/** An entry for the `destinations` of a rule, and the places that ask for it. */
export type Suggestion = {
  readonly protocol: EgressProtocol
  readonly ports: readonly number[]
  readonly methods: readonly string[]
  /** None: all paths. */
  readonly paths: readonly string[]
  readonly from: readonly Seen[]
}

const maxPaths = 10

/**
 * The smallest list of destinations that lets through what was seen: hosts by their whole names, no port, method or path
 * beside those seen. Only paths that are too many to be read are cut to what they begin with.
 *
 * @returns By rule.
 */
export const suggest = (seen: readonly Seen[]): ReadonlyMap<string, readonly Suggestion[]> => {
  const byRule = new Map<string, Map<string, Suggestion>>()
  for (const place of seen)
    for (const one of wantedBy(place)) {
      const suggestions = byRule.get(place.rule) ?? new Map<string, Suggestion>()
      byRule.set(place.rule, suggestions)
      // What differs in its host alone goes into one entry.
      const key = JSON.stringify([one.protocol, one.ports, one.methods, one.paths])
      const from = suggestions.get(key)?.from ?? []
      suggestions.set(key, { ...one, from: [...from, place] })
    }
  return new Map([...byRule].map(([rule, suggestions]) => [rule, [...suggestions.values()]]))
}

const wantedBy = ({ protocol, port, pathsOf }: Seen): Omit<Suggestion, 'from'>[] => {
  if (protocol === 'tls' || protocol === 'tcp')
    return [{ protocol, ports: [port], methods: [], paths: [] }]
  // Methods that go to the same paths share an entry; others must not get each other's.
  const methodsOf = new Map<string, { methods: string[]; paths: readonly string[] }>()
  for (const [method, all] of pathsOf) {
    const paths = fewPaths([...all])
    const known = methodsOf.get(paths.join('\n'))
    if (known) known.methods.push(method)
    else methodsOf.set(paths.join('\n'), { methods: [method], paths })
  }
  return [...methodsOf.values()].map(({ methods, paths }) => ({
    protocol,
    ports: [port],
    methods: methods.sort(),
    paths,
  }))
}

/** Each path and all below it; if they are too many, each cut to as many segments as make them few. */
const fewPaths = (paths: readonly string[]): readonly string[] => {
  const whole = paths.map(valid)
  const deepest = Math.max(...whole.map((path) => segmentsOf(path).length))
  for (let depth = deepest; depth > 0; depth -= 1) {
    const few = withoutCovered(whole.map((path) => cut(path, depth)))
    if (few.includes('/')) return []
    if (few.length <= maxPaths) return few
  }
  return []
}

const segmentsOf = (path: string) => path.split('/').filter((segment) => segment !== '')
const cut = (path: string, depth: number) => `/${segmentsOf(path).slice(0, depth).join('/')}`

/** What a configuration takes as a path: the longest beginning of it that is one. */
const valid = (path: string): string => {
  const isPath = findFormat('route-prefix')
  for (let depth = segmentsOf(path).length; depth > 0; depth -= 1)
    if (isPath?.(cut(path, depth)) === undefined) return cut(path, depth)
  return '/'
}

const withoutCovered = (paths: readonly string[]): readonly string[] => {
  const all = [...new Set(paths)].sort()
  return all.filter((path) => !all.some((other) => path !== other && path.startsWith(`${other}/`)))
}
