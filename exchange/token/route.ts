import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { FastifyInstance, FastifyRequest } from '#http/listen'
import { peerOf as connectionOf } from '#http/peer'
import type { MintFigures, MintKind } from '../mint-figures.ts'
import { oauthEndpoint, type OAuthEndpoint, type OAuthEndpointParts } from './endpoint.ts'
import { exchangeToken, type TokenExchangeParts } from './exchange-token.ts'
import type { OAuthError } from './oauth-error.ts'
import { tokenAnswer } from './respond.ts'

export type TokenRouteParts = TokenExchangeParts &
  OAuthEndpointParts & { readonly figures: MintFigures }

const path = '/token'

/** `POST /token`. */
export const tokenRoute = (parts: TokenRouteParts): ((app: FastifyInstance) => Promise<void>) =>
  oauthEndpoint(parts, {
    path,
    isOpen: parts.legacy !== undefined,
    refused: countRefused(parts.figures),
    take: takeForm(parts),
  })

/** Answers one form, wherever it came in. */
export const takeForm = (parts: TokenRouteParts): OAuthEndpoint['take'] => {
  const exchange = exchangeToken(parts)
  return async (request, body, { record, nowMs, beganAt, peer }) => {
    const { authorization, dpop } = request.headers
    const { address, tlsVersion } = connectionOf(request.socket)
    const exchanged = await exchange(
      {
        peer,
        authorization,
        dpop: typeof dpop === 'string' ? dpop : dpop?.join(),
        headers: () => joined(request.headers),
        certificate: () => certificateOf(request),
        body,
        path,
        address,
        tlsVersion,
      },
      nowMs,
      record,
    )
    const { result } = exchanged
    if (!result.ok) return { ok: false, error: result.error, kind: exchanged.kind }
    parts.figures.issued(exchanged.kind, performance.now() - beganAt)
    return { ok: true, answer: tokenAnswer(result.value) }
  }
}

/** Refusals and what broke, by what was asked for. */
export const countRefused =
  (figures: MintFigures) =>
  ({ problem }: OAuthError, kind: MintKind = 'unknown'): void => {
    if (problem === 'internal') figures.failed(kind)
    else figures.refused(kind)
  }

/** Headers, several of one name joined by commas. */
export const joined = (headers: FastifyRequest['headers']): Record<string, string | undefined> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : value,
    ]),
  )

/** Of the connection, whoever issued it. */
export const certificateOf = ({ socket }: FastifyRequest): X509Certificate | undefined =>
  'getPeerX509Certificate' in socket ? (socket as TLSSocket).getPeerX509Certificate() : undefined
