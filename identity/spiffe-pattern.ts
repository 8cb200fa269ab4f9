import type { SpiffeId } from '#contract/spiffe-id'

/** Whether a SPIFFE ID fits. */
export type SpiffePattern = (id: SpiffeId) => boolean

/**
 * Compiles `spiffe://td/ns/*` (any one segment) and `spiffe://td/ns/**` (one or more segments at the end). Without a star
 * it is one ID. Trust domain and number of segments are never left open otherwise.
 */
export const spiffePattern = (pattern: string): SpiffePattern => {
  if (!pattern.includes('*')) return (id) => id === pattern
  const wanted = pattern.split('/')
  const isOpen = wanted.at(-1) === '**'
  const fixed = isOpen ? wanted.slice(0, -1) : wanted
  return (id) => {
    const segments = id.split('/')
    return (
      (isOpen ? segments.length > fixed.length : segments.length === fixed.length) &&
      fixed.every((segment, i) => segment === '*' || segment === segments[i])
    )
  }
}

/** Whether one of several patterns fits. */
export const anySpiffePattern = (patterns: readonly string[]): SpiffePattern => {
  const compiled = patterns.map(spiffePattern)
  return (id) => compiled.some((fits) => fits(id))
}
