import { secret, type Secret } from '#contract/secret'

const marker = '$secret'

/** Plain data that a worker can be sent, with secrets in the open: for a channel between our own processes, never a log. */
export const toPortable = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(toPortable)
  if ('reveal' in value) return { [marker]: (value as Secret<unknown>).reveal() }
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, toPortable(inner)]))
}

/** What it was before, frozen. */
export const fromPortable = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return Object.freeze(value.map(fromPortable))
  if (marker in value) return secret((value as Record<string, unknown>)[marker])
  return Object.freeze(
    Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, fromPortable(inner)])),
  )
}
