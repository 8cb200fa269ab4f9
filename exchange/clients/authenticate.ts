import type { SpiffeId } from '#contract/spiffe-id'
import { basicCredentials } from '#identity/credentials/basic'
import { secretHash } from '#identity/credentials/secret-hash'
import type { Peer } from '../peer.ts'
import type { Form } from '../token/form.ts'
import { grantedAs, oauthRefuse, type OAuthResult } from '../token/oauth-error.ts'
import type { Asker } from './asker.ts'
import {
  checkClientAssertion,
  claimedClientOf,
  clientAssertionType,
  type AssertionParts,
} from './assertion.ts'
import type { ClientRegistry, RegisteredClient } from './registry.ts'

export type AuthenticateParts = AssertionParts & {
  readonly gateways: ReadonlySet<SpiffeId>
  readonly clients: ClientRegistry
  /** Whether someone may come with nothing but a platform's token. */
  readonly selfService: boolean
}

/** What a request shows of who asks. */
export type Credentials = {
  readonly peer: Peer
  /** `Authorization`, if sent. */
  readonly authorization: string | undefined
  readonly form: Form
}

/** Parameters that say who asks: every endpoint knows them. */
export const clientParameters = [
  'client_id',
  'client_secret',
  'client_assertion',
  'client_assertion_type',
] as const

/** Compared with when there is no such client, so that it takes as long as if there were. */
const nobodysSecret = secretHash(`sha256:${'0'.repeat(64)}`)
const maxSecretChars = 1024

/**
 * Finds out who asks, by one method: a secret or an assertion if one was sent, else the certificate of the connection,
 * else nobody but the token's bearer where that is allowed.
 *
 * @returns Refuses with `invalid_client`; with `invalid_request` for two methods at once (RFC 6749 §2.3).
 * @see RFC 6749 §2.3.1, RFC 7523 §2.2, RFC 8705 §2.1
 */
export const authenticateAsker = async (
  { peer, authorization, form }: Credentials,
  parts: AuthenticateParts,
  nowMs: number,
): Promise<OAuthResult<Asker>> => {
  const one = (name: string) => form.get(name)?.find((value) => value !== '')
  const clientId = one('client_id')
  const secret = one('client_secret')
  const assertion = one('client_assertion')
  const assertionType = one('client_assertion_type')
  const sent = [authorization, secret, assertion ?? assertionType]
  if (sent.filter((method) => method !== undefined).length > 1)
    return invalid('there is more than one proof of who the client is')

  if (authorization !== undefined) {
    const basic = basicCredentials(authorization)
    if (basic === undefined) return failed('the Authorization header is not acceptable')
    if (clientId !== undefined && clientId !== basic.id)
      return failed('client_id is not that of the Authorization header')
    return bySecret(basic.id, basic.secret, parts)
  }
  if (secret !== undefined)
    return clientId === undefined
      ? invalid('client_secret came without client_id')
      : bySecret(clientId, secret, parts)
  if (assertion !== undefined || assertionType !== undefined) {
    if (assertion === undefined || assertionType !== clientAssertionType)
      return invalid(`client_assertion_type must be ${clientAssertionType}`)
    return byAssertion(assertion, clientId, parts, nowMs)
  }
  if (peer.kind === 'refused') return failed('the certificate is not acceptable', peer.fault)
  return peer.kind === 'proven'
    ? byCertificate(peer.spiffeId, clientId, parts)
    : byItself(clientId, parts)
}

const bySecret = async (
  id: string,
  secret: string,
  { clients }: AuthenticateParts,
): Promise<OAuthResult<Asker>> => {
  const client = clients.byId.get(id)
  const secrets = client?.proof.method === 'client_secret' ? client.proof.secrets : [nobodysSecret]
  if (secret.length > maxSecretChars) return failed('the client could not prove who it is')
  const fitting = await Promise.all(secrets.map((fits) => fits(secret)))
  return client?.proof.method === 'client_secret' && fitting.includes(true)
    ? grantedAs(client.asker)
    : failed('the client could not prove who it is', `client ${JSON.stringify(id.slice(0, 64))}`)
}

const byAssertion = async (
  assertion: string,
  clientId: string | undefined,
  parts: AuthenticateParts,
  nowMs: number,
): Promise<OAuthResult<Asker>> => {
  const claimed = claimedClientOf(assertion)
  const client = claimed === undefined ? undefined : parts.clients.byId.get(claimed)
  if (client?.proof.method !== 'private_key_jwt' || (clientId ?? claimed) !== claimed)
    return failed('the client could not prove who it is')
  const { keys } = client.proof
  const checked = await checkClientAssertion(assertion, client.asker.id, keys, parts, nowMs)
  if (checked.ok) return grantedAs(client.asker)
  if ('problem' in checked && checked.problem.tag === 'replay-unavailable')
    return oauthRefuse(
      'temporarily_unavailable',
      'replay-unavailable',
      'assertions cannot be taken at the moment',
      { cause: checked.problem.cause ?? checked.fault, retryAfterSeconds: 5 },
    )
  const tag = 'problem' in checked ? checked.problem.tag : 'client-unauthenticated'
  return oauthRefuse('invalid_client', tag, 'client_assertion is not acceptable', {
    cause: checked.fault,
  })
}

const byCertificate = (
  spiffeId: SpiffeId,
  clientId: string | undefined,
  { gateways, clients }: AuthenticateParts,
): OAuthResult<Asker> => {
  if (gateways.has(spiffeId))
    return clientId === undefined || clientId === spiffeId
      ? grantedAs({ kind: 'gateway', id: spiffeId, spiffeId })
      : failed('client_id is not the SPIFFE ID of the certificate')
  const client: RegisteredClient | undefined = clients.bySpiffeId.get(spiffeId)
  if (client === undefined)
    return oauthRefuse(
      'unauthorized_client',
      'client-not-allowed',
      'this client may not ask for identities of others',
      { cause: spiffeId },
    )
  // RFC 8705 §2: it must say who it is, and that must be whose certificate it is.
  return clientId === client.asker.id || clientId === spiffeId
    ? grantedAs(client.asker)
    : failed('client_id is missing, or is not that of the certificate')
}

const byItself = (
  clientId: string | undefined,
  { selfService, clients }: AuthenticateParts,
): OAuthResult<Asker> =>
  selfService && (clientId === undefined || !clients.byId.has(clientId))
    ? grantedAs({ kind: 'self', id: 'self', claimed: clientId })
    : failed('the client must prove who it is')

const failed = (description: string, cause?: unknown) =>
  oauthRefuse(
    'invalid_client',
    'client-unauthenticated',
    description,
    cause === undefined ? {} : { cause },
  )

const invalid = (description: string) =>
  oauthRefuse('invalid_request', 'exchange-request-invalid', description)
