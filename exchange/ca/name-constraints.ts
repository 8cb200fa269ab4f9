/**
 * The names that a CA must be permitted to sign for, so that it can for every host of these patterns. A constraint is a name
 * with all below it (RFC 5280 §4.2.1.10): of a pattern with a wildcard it is what stands behind the last one, which is
 * more than the pattern says. The rest is held by whoever signs.
 */
export const permittedNames = (patterns: readonly string[]): readonly string[] => {
  const names = [...new Set(patterns.map(fixedEnd))]
  return names.filter((name) => !names.some((other) => other !== name && isBelow(name, other)))
}

/** Whether a CA with these names may sign for every host of a pattern, or for a host. */
export const isPermitted = (permitted: readonly string[], pattern: string): boolean => {
  const wanted = fixedEnd(pattern)
  return permitted.some((name) => name === wanted || isBelow(wanted, name))
}

const fixedEnd = (pattern: string): string => {
  const labels = pattern.split('.')
  return labels.slice(labels.findLastIndex((label) => label.includes('*')) + 1).join('.')
}

const isBelow = (name: string, other: string): boolean => name.endsWith(`.${other}`)
