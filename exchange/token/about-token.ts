import type { FastifyRequest } from '#http/listen'
import type { Asker } from '../clients/asker.ts'
import { authenticateAsker, clientParameters } from '../clients/authenticate.ts'
import type { Visit } from '../visits.ts'
import type { OAuthEndpointParts } from './endpoint.ts'
import { factsOf } from './notes.ts'
import { grantedAs, oauthRefuse, type OAuthResult } from './oauth-error.ts'
import type { OwnToken, VerifyOwnToken } from './own-token.ts'
import { readForm } from './request.ts'

export type AboutTokenParts = OAuthEndpointParts & { readonly verifyOwn: VerifyOwnToken }

export type KnownAsker = Exclude<Asker, { kind: 'self' }>

const known = new Set<string>([...clientParameters, 'token', 'token_type_hint'])

/**
 * Who asks about which token, for introspection and revocation. `own` is undefined for a token that is not ours or not good
 * now.
 */
export const aboutToken = async (
  request: FastifyRequest,
  body: Buffer,
  { authentication, verifyOwn }: AboutTokenParts,
  { record, peer, nowMs }: Visit,
): Promise<OAuthResult<{ readonly asker: KnownAsker; readonly own: OwnToken | undefined }>> => {
  record.at('request')
  const form = readForm(body, known)
  if (!form.ok) return form
  record.at('client')
  const { authorization } = request.headers
  const asker = await authenticateAsker(
    { peer, authorization, form: form.value },
    { ...authentication, selfService: false },
    nowMs,
  )
  if (!asker.ok) return asker
  if (asker.value.kind === 'self') throw new TypeError('nobody may ask here unknown')
  record.learn({ client: asker.value.id })
  record.at('token')
  const token = form.value.get('token')?.find((value) => value !== '')
  if (token === undefined)
    return oauthRefuse('invalid_request', 'exchange-request-invalid', 'token is missing')
  const verified = verifyOwn(token, nowMs)
  const own = verified?.ok === true ? verified.value : undefined
  if (own) record.learn({ ...factsOf(own.token), spiffeId: own.spiffeId })
  return grantedAs({ asker: asker.value, own })
}
