import { isDeepStrictEqual } from 'node:util'
import { isJsonObject, type JsonObject } from '#identity/json-strict'
import type { Asker } from '../clients/asker.ts'
import { grantedAs, oauthRefuse, type OAuthResult } from './oauth-error.ts'
import type { Party } from './party.ts'
import type { ExchangeRequest } from './request.ts'

/** What a Txn-Token says besides who, for whom and for what. */
export type Transaction = {
  /** Undefined for a new one. */
  readonly txn: string | undefined
  /** The workloads that asked, first to last, with commas between them. */
  readonly requesters: string
  readonly details: JsonObject | undefined
  readonly context: JsonObject | undefined
}

const maxRequesterChars = 4096

/**
 * Begins a transaction, or goes on with the one of the subject token: then its id stays, who asks is added to those who
 * asked before, and what it says may be added to and never changed.
 *
 * @returns Refuses with `invalid_request` what would change it, and who is no workload that proved who it is.
 * @see draft-ietf-oauth-transaction-tokens §7, §11.12.1
 */
export const transactionOf = (
  { details, context }: ExchangeRequest,
  asker: Asker,
  { own, token }: Party,
): OAuthResult<Transaction> => {
  if (asker.kind === 'self')
    return oauthRefuse(
      'unauthorized_client',
      'client-not-allowed',
      'Txn-Tokens are for clients that prove who they are',
    )
  const requester = asker.spiffeId ?? asker.id
  if (own !== 'txn-token')
    return grantedAs({ txn: undefined, requesters: requester, details, context })
  const { txn, req_wl: before, tctx, rctx } = token.claims
  const requesters = `${String(before)},${requester}`
  if (requesters.length > maxRequesterChars)
    return invalid('this transaction has been through too many workloads')
  const allDetails = added(tctx, details)
  const allContext = added(rctx, context)
  if (allDetails === 'contradiction' || allContext === 'contradiction')
    return invalid('what a transaction says cannot be changed, only added to')
  return grantedAs({
    txn: String(txn),
    requesters,
    details: allDetails,
    context: allContext,
  })
}

const added = (
  before: unknown,
  more: JsonObject | undefined,
): JsonObject | undefined | 'contradiction' => {
  if (!isJsonObject(before)) return more
  for (const [name, value] of Object.entries(more ?? {}))
    if (Object.hasOwn(before, name) && !isDeepStrictEqual(before[name], value))
      return 'contradiction'
  return { ...more, ...before }
}

const invalid = (description: string) =>
  oauthRefuse('invalid_request', 'exchange-request-invalid', description)
