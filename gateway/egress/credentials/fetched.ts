import { pass, refuse, type Result } from '#contract/problem'
import type { EgressCredential } from '#config/schema'
import {
  tokenExchangeGrant,
  tokenTypes,
  type MintedToken,
  type MintRequest,
} from '#contract/token-exchange'
import { bearer, usable } from './fixed.ts'
import type { Attach, Occasion } from './credential.ts'
import type { HeldToken, HeldTokens } from './held-tokens.ts'
import {
  askTokenEndpoint,
  tokenEndpoint,
  type TokenEndpointParts,
  type TokenForm,
} from './token-endpoint.ts'

type ClientCredentials = Extract<EgressCredential, { kind: 'client-credentials' }>
type TokenExchange = Extract<EgressCredential, { kind: 'token-exchange' }>

export type FetchedParts = TokenEndpointParts & {
  readonly held: HeldTokens
  /** Asks the mesh's exchange. */
  readonly mint: (request: MintRequest) => Promise<Result<MintedToken>>
}

/**
 * A token for a client of the operator's own. It does not depend on the workload, so all share it.
 *
 * @throws TypeError for a secret that cannot be used.
 */
export const clientCredentials = (
  id: string,
  config: ClientCredentials,
  parts: FetchedParts,
): Attach => {
  const endpoint = tokenEndpoint(config.tokenUrl, config.opens)
  const asked = formOf(id, config, { grant_type: 'client_credentials' })
  const fetch = () => askTokenEndpoint(parts, endpoint, asked)
  return async (_outgoing, { nowMs }) =>
    attached(await parts.held.take(`client ${id}`, fetch, nowMs))
}

/**
 * A token for the workload, which its JWT-SVID is exchanged for. Nobody else gets it: it is held by workload and rule.
 *
 * @throws TypeError for a secret that cannot be used.
 */
export const tokenExchange = (id: string, config: TokenExchange, parts: FetchedParts): Attach => {
  const endpoint = config.at && tokenEndpoint(config.at.tokenUrl, config.at.opens)
  if (config.at) formOf(id, config.at, {}) // a bad secret is told of at the start
  const fetch = async (occasion: Occasion): Promise<Result<HeldToken>> => {
    const minted = await mintFor(config, occasion, parts)
    if (!minted.ok || !config.at || !endpoint) return minted
    const asked = formOf(id, config.at, {
      grant_type: tokenExchangeGrant,
      subject_token: minted.value.token.reveal(),
      subject_token_type: typeOf[config.tokenType],
      requested_token_type: tokenTypes.accessToken,
    })
    return askTokenEndpoint(parts, endpoint, asked)
  }
  return async (_outgoing, occasion) => {
    const { workload, rule, nowMs } = occasion
    const key = `exchange ${id} ${rule} ${workload.spiffeId}`
    return attached(await parts.held.take(key, () => fetch(occasion), nowMs))
  }
}

const typeOf = { 'jwt-svid': tokenTypes.jwt, 'access-token': tokenTypes.accessToken } as const

const mintFor = async (
  { audience, tokenType }: TokenExchange,
  { workload, decisionId }: Occasion,
  { mint }: FetchedParts,
): Promise<Result<HeldToken>> => {
  const subjectToken = workload.token?.raw
  if (subjectToken === undefined)
    return refuse('credential-withheld', {
      detail: 'This credential is for workloads that come with a JWT-SVID in Proxy-Authorization.',
    })
  const minted = await mint({
    subjectToken,
    audience,
    requestedTokenType: typeOf[tokenType],
    decisionId,
  })
  if (!minted.ok) {
    const { tag, cause, headers } = minted.problem
    return tag === 'identity-unavailable'
      ? refuse('credential-unavailable', { cause, ...(headers ? { headers } : {}) })
      : refuse('credential-withheld', { cause })
  }
  if (minted.value.subject !== workload.spiffeId)
    return refuse('credential-withheld', { cause: 'the exchange minted for another workload' })
  return minted
}

type Asking = Pick<ClientCredentials, 'scopes' | 'clientAuthentication'> & {
  readonly clientId?: string
  readonly clientSecret?: ClientCredentials['clientSecret']
  readonly audience?: string
  readonly resource?: string
}

const formOf = (
  id: string,
  { clientId, clientSecret, clientAuthentication, scopes, audience, resource }: Asking,
  own: Readonly<Record<string, string>>,
): TokenForm => {
  const form = new URLSearchParams(own)
  if (scopes.length > 0) form.set('scope', scopes.join(' '))
  if (audience !== undefined) form.set('audience', audience)
  if (resource !== undefined) form.set('resource', resource)
  if (clientId === undefined) return { form }
  if (clientSecret === undefined) {
    form.set('client_id', clientId)
    return { form }
  }
  const password = usable(id, clientSecret)
  if (clientAuthentication === 'post') {
    form.set('client_id', clientId)
    form.set('client_secret', password)
    return { form }
  }
  const pair = `${formEncoded(clientId)}:${formEncoded(password)}`
  return { form, authorization: `Basic ${Buffer.from(pair).toString('base64')}` }
}

/** RFC 6749 §2.3.1: both are form-encoded before they become Basic. */
const formEncoded = (text: string): string => new URLSearchParams({ a: text }).toString().slice(2)

const attached = (taken: Awaited<ReturnType<HeldTokens['take']>>): Awaited<ReturnType<Attach>> =>
  taken.ok
    ? pass({
        attachment: bearer(taken.value.token.reveal()),
        fromCache: taken.value.fromCache,
      })
    : taken
