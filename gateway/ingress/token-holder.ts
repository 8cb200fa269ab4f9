import { admitted, refuse, type Result } from '#contract/problem'
import type { SpendOnce } from '#contract/replay'
import { headerOf, type RequestHead } from '#contract/request-head'
import type { Soon } from '#contract/step'
import type { Peer } from '#http/peer'
import { confirmationOf } from '#identity/jwt/confirmation'
import { dpopAlgorithms, verifyDpop } from '#identity/jwt/dpop'
import type { DpopNonces } from '#identity/jwt/dpop-nonce'
import type { VerifiedToken } from '#identity/jwt/verified-token'

/** What checks who holds a token. */
export type HolderParts = {
  readonly spendOnce: SpendOnce
  /** Undefined where proofs need none. */
  readonly nonces: DpopNonces | undefined
}

export type Presented = {
  readonly scheme: 'bearer' | 'dpop'
  /** As it was sent. */
  readonly text: string
  readonly head: RequestHead
  readonly peer: Peer
  readonly nowMs: number
}

/**
 * Whether who sends a token is who it was given to: of a token bound to a key a fresh DPoP proof must say so, of one bound
 * to a certificate the connection. A token that is bound to nothing belongs to its bearer, unless the route wants more.
 *
 * @returns Refuses with `token-not-bound`, `token-holder-unproven`, `dpop-nonce-needed` or as `verifyDpop` does.
 * @see RFC 9449 §7, RFC 8705 §3
 */
export const checkHolder = (
  token: VerifiedToken,
  presented: Presented,
  { spendOnce, nonces }: HolderParts,
  mustBeBound: boolean,
): Soon<Result<void>> => {
  const bound = confirmationOf(token)
  const { scheme, head, peer, text, nowMs } = presented
  if (bound === undefined)
    return mustBeBound || scheme === 'dpop'
      ? refuse('token-not-bound', { headers: invalidToken })
      : admitted
  if ('x5t#S256' in bound) {
    const shown = peer.certificateSha256
    return scheme === 'bearer' &&
      shown === Buffer.from(bound['x5t#S256'], 'base64url').toString('hex')
      ? admitted
      : unproven('its certificate was not shown on this connection')
  }
  const proof = headerOf(head, 'dpop')
  // A bound token must not pass for a bearer token (RFC 9449 §7.1).
  if (scheme !== 'dpop' || proof === undefined) return unproven('it came without a DPoP proof')
  const expected = { method: head.method, urls: [urlOf(head)], accessToken: text, nonces }
  return verifyDpop(proof, expected, spendOnce, nowMs).then((jkt) => {
    if (!jkt.ok) return jkt
    return jkt.value === bound.jkt ? admitted : unproven('the DPoP proof is of another key')
  })
}

/** Where the caller sees what it asks for; without query (RFC 9449 §4.2). */
const urlOf = ({ host, port, path }: RequestHead): string =>
  `https://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}${port === undefined ? '' : `:${port}`}${path}`

const algorithms = `algs="${dpopAlgorithms.join(' ')}"`
/** Told to who comes without a credential where one bound to a key is needed. */
export const boundChallenge = { 'WWW-Authenticate': `DPoP ${algorithms}` }
const invalidToken = { 'WWW-Authenticate': `DPoP error="invalid_token", ${algorithms}` }

const unproven = (cause: string) =>
  refuse('token-holder-unproven', { cause, headers: invalidToken })
