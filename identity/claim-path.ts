import { isJsonObject, type JsonObject } from './json-strict.ts'

/** Finds one claim; undefined if it is not there, or can be read in two ways. */
export type ClaimPath = (claims: JsonObject) => unknown

/** A path with more dots than this reads as one name only: with each dot there are twice as many readings. */
const maxDots = 6

/**
 * Compiles the name of a claim as operators write it: `sub`, `realm_access.roles` for what is nested, and also names with
 * dots of their own, `https://example.com/roles` or `kubernetes.io.namespace`.
 *
 * A dot may be part of a name or lead one level down, so every reading is tried. If the token has a value for more
 * than one of them, there is no value: nobody may choose by an odd claim which of two is looked at.
 */
export const claimPath = (path: string): ClaimPath => {
  const parts = path.split('.')
  if (parts.length === 1 || parts.length > maxDots + 1) return (claims) => own(claims, path)
  const readings = waysToJoin(parts)
  return (claims) => {
    let found: unknown
    for (const names of readings) {
      const value = follow(claims, names)
      if (value === undefined) continue
      if (found !== undefined) return undefined
      found = value
    }
    return found
  }
}

/** `a.b.c` as [a.b.c], [a, b.c], [a.b, c] and [a, b, c]. */
const waysToJoin = ([first = '', ...rest]: readonly string[]): readonly (readonly string[])[] => {
  if (rest.length === 0) return [[first]]
  return waysToJoin(rest).flatMap(([next = '', ...later]) => [
    [`${first}.${next}`, ...later],
    [first, next, ...later],
  ])
}

const follow = (claims: JsonObject, names: readonly string[]): unknown => {
  let value: unknown = claims
  for (const name of names) {
    if (!isJsonObject(value)) return undefined
    value = own(value, name)
  }
  return value
}

const own = (claims: JsonObject, name: string): unknown =>
  Object.hasOwn(claims, name) ? claims[name] : undefined
