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
  return (claims) => {
    const found = readings(claims, parts)
    return found.length === 1 ? found[0] : undefined
  }
}

const readings = (value: unknown, parts: readonly string[]): readonly unknown[] => {
  if (parts.length === 0) return [value]
  if (!isJsonObject(value)) return []
  return parts.flatMap((_part, at) => {
    const name = parts.slice(0, at + 1).join('.')
    return Object.hasOwn(value, name) ? readings(value[name], parts.slice(at + 1)) : []
  })
}

const own = (claims: JsonObject, name: string): unknown =>
  Object.hasOwn(claims, name) ? claims[name] : undefined
