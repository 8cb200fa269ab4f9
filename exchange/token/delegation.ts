import { parseSpiffeId, type SpiffeId } from '#contract/spiffe-id'
import { isJsonObject, type JsonObject } from '#identity/json-strict'
import { bad, good, type Outcome } from '#identity/outcome'

/** Who acts for the subject, and before it who acted for that: RFC 8693 §4.1. What lies deeper is history and decides nothing. */
export type Act = { readonly sub: string; readonly iss?: string; readonly act?: Act }

/**
 * Reads the `act` of a token. Members other than `sub`, `iss` and `act` mean nothing inside it and are left behind.
 *
 * @param outside Of a token from outside: its issuer, said of an actor whom it names without one, and ours, in whose name it
 *   cannot say who acts. Undefined for tokens of ours, whose actors are SPIFFE IDs.
 * @returns A fault for what is not a chain of actors, or is longer than `maxActors`: leaving one out would hide who acted.
 */
export const readActors = (
  claims: JsonObject,
  outside: Outside | undefined,
  maxActors: number,
): Outcome<Act | undefined> => {
  if (claims['act'] === undefined) return good(undefined)
  return readAct(claims['act'], outside, maxActors)
}

type Outside = { readonly issuer: string; readonly ours: string }

const readAct = (value: unknown, outside: Outside | undefined, left: number): Outcome<Act> => {
  if (left === 0) return bad('it names more actors than are accepted')
  if (!isJsonObject(value)) return bad('its act is no object')
  const { sub, iss = outside?.issuer, act } = value
  if (typeof sub !== 'string' || sub === '') return bad('an actor of it has no sub')
  if (iss !== undefined && typeof iss !== 'string') return bad('an actor of it has no usable iss')
  if (iss !== undefined && iss === outside?.ours) return bad('it names an actor in our name')
  const named = { sub, ...(iss === undefined ? {} : { iss }) }
  if (act === undefined) return good(named)
  const before = readAct(act, outside, left - 1)
  return before.ok ? good({ ...named, act: before.value }) : before
}

/** Puts a new actor before those of the subject token; none is lost. */
export const actingNow = (
  actor: string,
  before: Act | undefined,
  maxActors: number,
): Outcome<Act> => {
  const act = { sub: actor, ...(before === undefined ? {} : { act: before }) }
  return actorsIn(act) > maxActors ? bad('it would name more actors than are accepted') : good(act)
}

export const actorsIn = (act: Act | undefined): number => (act ? 1 + actorsIn(act.act) : 0)

/** Whoever might be meant by `may_act`: by SPIFFE ID, by outside name, or as a client. */
export type MayBe = {
  readonly spiffeId: SpiffeId | undefined
  /** Outside name and its issuer, of an actor token from outside. */
  readonly outside?: { readonly sub: string; readonly iss: string }
  readonly clientId?: string
}

/**
 * Whether `may_act` of a subject token means this party. Every member has to be understood and to fit: one more could be a
 * condition.
 *
 * @returns undefined for a token that names nobody.
 * @see RFC 8693 §4.4
 */
export const mayAct = (claims: JsonObject, party: MayBe | undefined): boolean | undefined => {
  const named = claims['may_act']
  if (named === undefined) return undefined
  if (party === undefined || !isJsonObject(named)) return false
  const { sub, iss, client_id: clientId, ...more } = named
  if (Object.keys(more).length > 0 || (sub === undefined && clientId === undefined)) return false
  if (clientId !== undefined && clientId !== party.clientId) return false
  if (sub === undefined) return iss === undefined
  const { spiffeId, outside } = party
  if (typeof sub === 'string' && parseSpiffeId(sub).ok && iss === undefined) return sub === spiffeId
  return outside !== undefined && sub === outside.sub && (iss ?? outside.iss) === outside.iss
}
