import { isJsonObject } from '../json-strict.ts'
import type { VerifiedToken } from './verified-token.ts'

/** What a token is bound to: the key of DPoP proofs (RFC 9449 §6.1), or a client certificate (RFC 8705 §3.1). */
export type Confirmation = { readonly jkt: string } | { readonly 'x5t#S256': string }

/** SHA-256, base64url. */
const thumbprint = /^[A-Za-z0-9_-]{43}$/

/** Whether a `cnf` says, in one way that is understood, what its token is bound to (RFC 7800 §3). */
export const isConfirmation = (cnf: unknown): boolean => {
  if (!isJsonObject(cnf)) return false
  const [name = '', ...others] = Object.keys(cnf)
  const value = cnf[name]
  return (
    others.length === 0 &&
    (name === 'jkt' || name === 'x5t#S256') &&
    typeof value === 'string' &&
    thumbprint.test(value)
  )
}

/** What a token that was checked is bound to; undefined for a bearer token. */
export const confirmationOf = ({ claims }: VerifiedToken): Confirmation | undefined => {
  const { cnf } = claims
  if (!isJsonObject(cnf)) return undefined
  if (typeof cnf['jkt'] === 'string') return { jkt: cnf['jkt'] }
  return { 'x5t#S256': String(cnf['x5t#S256']) }
}
