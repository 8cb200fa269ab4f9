import { oncePer } from '#contract/once-per'
import type { VerifiedToken } from './verified-token.ts'

/**
 * Remembers what was made of a token that comes again, for as long as it is remembered itself. Of one that comes for the
 * first time it is made and not kept: each thing kept by an object takes V8 1 to 2 µs, and more when it collects garbage.
 */
export const oncePerToken = <Made>(
  make: (token: VerifiedToken) => Made,
): ((token: VerifiedToken) => Made) => {
  const kept = oncePer(make)
  return (token) => (token.comesAgain ? kept(token) : make(token))
}
