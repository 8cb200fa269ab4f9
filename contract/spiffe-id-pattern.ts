const prefix = 'spiffe://'

/** Which SPIFFE IDs a pattern means, and how closely. */
export type SpiffeIdPattern = {
  readonly isExact: boolean
  readonly matches: (spiffeId: string) => boolean
  /** Of two patterns that fit, the one with the greater rank is meant. */
  readonly rank: number
}

const exactRank = 1_000_000

/**
 * Compiles a pattern of SPIFFE IDs: written out, or with `*` for any one segment and a last `**` for one or more. The
 * trust domain is always written out.
 */
export const spiffeIdPattern = (pattern: string): SpiffeIdPattern => {
  if (!pattern.includes('*'))
    return { isExact: true, matches: (id) => id === pattern, rank: exactRank }
  const segments = pattern.slice(prefix.length).split('/')
  const isOpen = segments.at(-1) === '**'
  const wanted = isOpen ? segments.slice(0, -1) : segments
  const literals = wanted.filter((segment) => segment !== '*').length
  return {
    isExact: false,
    rank: 4 * literals + 2 * (wanted.length - literals) + (isOpen ? 0 : 1),
    matches: (id) => {
      const given = id.slice(prefix.length).split('/')
      if (isOpen ? given.length <= wanted.length : given.length !== wanted.length) return false
      return wanted.every((segment, i) => segment === '*' || segment === given[i])
    },
  }
}

/** Whether some SPIFFE ID could be meant by both. */
export const spiffeIdPatternsOverlap = (a: string, b: string): boolean => {
  const [left, right] = [a, b].map((pattern) => pattern.slice(prefix.length).split('/'))
  if (left === undefined || right === undefined) return false
  for (let i = 0; ; i += 1) {
    const [one, other] = [left[i], right[i]]
    if (one === undefined && other === undefined) return true
    if (one === '**') return other !== undefined
    if (other === '**') return one !== undefined
    if (one === undefined || other === undefined) return false
    if (one !== '*' && other !== '*' && one !== other) return false
  }
}

/** Whether a SPIFFE ID is meant by one of several patterns. */
export const anySpiffeIdPattern = (
  patterns: readonly string[],
): ((spiffeId: string) => boolean) => {
  const compiled = patterns.map(spiffeIdPattern)
  return (id) => compiled.some(({ matches }) => matches(id))
}
