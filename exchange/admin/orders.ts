import { pass, refuse, type Result } from '#contract/problem'
import { parseSpiffeId, type SpiffeId } from '#contract/spiffe-id'
import type { KeyOrder } from '../ca/authority.ts'
import { keyKinds, type KeyKind } from '../ca/turn-keys.ts'

export type JoinTokenOrder = { readonly spiffeId: SpiffeId; readonly lifetimeSeconds: number }

const minLifetimeSeconds = 10
const maxLifetimeSeconds = 86_400
const defaultLifetimeSeconds = 600

/** Reads the body of `POST /join-tokens`: `{ spiffeId, lifetimeSeconds? }`. Refuses with `request-malformed`. */
export const parseJoinTokenOrder = (body: unknown): Result<JoinTokenOrder> => {
  const order = object(body, ['spiffeId', 'lifetimeSeconds'])
  if (!order.ok) return order
  const { spiffeId, lifetimeSeconds = defaultLifetimeSeconds } = order.value
  const id = typeof spiffeId === 'string' ? parseSpiffeId(spiffeId) : undefined
  if (!id?.ok) return malformed('spiffeId must be a SPIFFE ID.')
  if (
    typeof lifetimeSeconds !== 'number' ||
    !Number.isInteger(lifetimeSeconds) ||
    lifetimeSeconds < minLifetimeSeconds ||
    lifetimeSeconds > maxLifetimeSeconds
  )
    return malformed(
      `lifetimeSeconds must be a whole number from ${minLifetimeSeconds} to ${maxLifetimeSeconds}.`,
    )
  return pass({ spiffeId: id.value, lifetimeSeconds })
}

/** Reads the body of `POST /issued/revoke`: `{ id }`. Refuses with `request-malformed`. */
export const parseRevokeOrder = (body: unknown): Result<string> => {
  const order = object(body, ['id'])
  if (!order.ok) return order
  const { id } = order.value
  return typeof id === 'string' && /^[\w-]{1,128}$/.test(id)
    ? pass(id)
    : malformed('id must be that of a credential; GET /issued lists them.')
}

/** Reads the body of `POST /keys/rotate`: `{ kind, step, id?, force? }`. Refuses with `request-malformed`. */
export const parseKeyOrder = (body: unknown): Result<KeyOrder> => {
  const order = object(body, ['kind', 'step', 'id', 'force'])
  if (!order.ok) return order
  const { kind, step, id, force = false } = order.value
  if (!isKeyKind(kind)) return malformed(`kind must be one of ${keyKinds.join(', ')}.`)
  if (typeof force !== 'boolean' || (force && step !== 'activate'))
    return malformed('force is true or false, and is for activate alone.')
  if (id !== undefined && step !== 'withdraw') return malformed('id is for withdraw alone.')
  switch (step) {
    case 'prepare':
      return pass({ kind, step })
    case 'activate':
      return pass({ kind, step, force })
    case 'withdraw':
      return typeof id === 'string'
        ? pass({ kind, step, id })
        : malformed('withdraw needs the id of a retired key; GET /status lists them.')
    default:
      return malformed('step must be one of prepare, activate, withdraw.')
  }
}

const isKeyKind = (kind: unknown): kind is KeyKind =>
  (keyKinds as readonly unknown[]).includes(kind)

const object = (
  body: unknown,
  known: readonly string[],
): Result<Readonly<Record<string, unknown>>> => {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    return malformed('The body must be a JSON object.')
  for (const name of Object.keys(body))
    if (!known.includes(name)) return malformed(`There is nothing named ${JSON.stringify(name)}.`)
  return pass(body as Record<string, unknown>)
}

const malformed = (detail: string) => refuse('request-malformed', { detail })
