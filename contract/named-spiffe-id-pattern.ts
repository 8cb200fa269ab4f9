/** Undefined for another; else what stands in the segments that have a name. */
export type NamedSpiffeIdPattern = (sub: unknown) => Readonly<Record<string, string>> | undefined

const placeholder = /^\{([a-z][a-z0-9_]*)\}$/

/**
 * Compiles `spiffe://partner.example/jobs/{job}`: a SPIFFE ID in which a name stands for any one segment. Two IDs that fit
 * one pattern have other values.
 */
export const namedSpiffeIdPattern = (pattern: string): NamedSpiffeIdPattern => {
  const wanted = pattern.split('/').map((segment) => {
    const [, name] = placeholder.exec(segment) ?? []
    return name === undefined ? { text: segment } : { name }
  })
  return (sub) => {
    if (typeof sub !== 'string') return undefined
    const given = sub.split('/')
    if (given.length !== wanted.length) return undefined
    const named: Record<string, string> = {}
    for (const [i, piece] of wanted.entries()) {
      const segment = given[i] ?? ''
      if ('name' in piece) named[piece.name] = segment
      else if (piece.text !== segment) return undefined
    }
    return named
  }
}

/** The same pattern with `*` in the place of each name. */
export const unnamedSpiffeIdPattern = (pattern: string): string =>
  pattern.replaceAll(/\{[^{}]*\}/g, '*')
