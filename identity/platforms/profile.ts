import { isJsonObject, type JsonObject } from '../json-strict.ts'
import { bad, good, type Outcome } from '../outcome.ts'

/**
 * What the tokens of one platform must say about the workload that holds them, beyond what every token must: checked on
 * top of signature, issuer, audience and times, wherever such a token is taken.
 *
 * @param issuer The `iss` that the configuration gives.
 * @returns A fault says which claim is missing or contradicts another; it quotes no value.
 */
export type PlatformProfile = (claims: JsonObject, issuer: string) => Outcome<void>

/** No fault. */
export const fitsProfile: Outcome<void> = good(undefined)

export const textClaim = (claims: JsonObject, name: string): string | undefined => {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined
  return typeof value === 'string' && value !== '' ? value : undefined
}

export const objectClaim = (claims: JsonObject, name: string): JsonObject | undefined => {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined
  return isJsonObject(value) ? value : undefined
}

/** The first of these claims that is not there as a text that is not empty, as a fault. */
export const lacking = (
  claims: JsonObject,
  names: readonly string[],
  within = '',
): Outcome<void> | undefined => {
  const name = names.find((one) => textClaim(claims, one) === undefined)
  return name === undefined ? undefined : bad(`it has no ${within}${name}`)
}

/** Ids of platforms that count: digits alone, so that a name cannot pass for one. */
export const isNumericId = (value: string | undefined): boolean =>
  value !== undefined && /^[0-9]{1,20}$/.test(value)
