import type { FastifyInstance, FastifyReply, FastifyRequest } from '#http/listen'
import type { AuthoritySnapshot } from './ca/snapshot.ts'
import { refreshHintSeconds, type PublishedDocument } from './ca/bundle.ts'
import {
  authorizationServerMetadata,
  openIdConfiguration,
  type Locations,
  type Offered,
} from './discovery.ts'

const openIdPath = '/.well-known/openid-configuration'
const oauthPath = '/.well-known/oauth-authorization-server'

/**
 * What everyone may read, without proving anything: keys, bundle, metadata, and the CA of inspected hosts if there are any. Cacheable for as long as the refresh hint
 * says, since a new key is published three hints before it signs.
 *
 * RFC 8414 §3 puts its well-known path before the issuer's path, OpenID Connect Discovery §4 behind it.
 */
export const publishedRoutes = (
  app: FastifyInstance,
  authority: () => AuthoritySnapshot,
  locations: Locations,
  offered: Offered,
  isInspecting: boolean,
): void => {
  const openId = JSON.stringify(openIdConfiguration(locations, offered))
  const oauth = JSON.stringify(authorizationServerMetadata(locations, offered))
  const { prefix } = locations

  for (const base of new Set(['', prefix])) {
    app.get(`${base}/keys`, async (request, reply) =>
      sendDocument(request, reply, authority().jwks, 'application/jwk-set+json'),
    )
    bundleRoute(app, `${base}/bundle`, authority)
    app.get(`${base}/bundle.pem`, async (_request, reply) =>
      reply.headers(cacheable).type('application/pem-certificate-chain').send(authority().rootsPem),
    )
    if (isInspecting)
      app.get(`${base}/inspection/ca.pem`, async (_request, reply) =>
        reply
          .headers(cacheable)
          .type('application/pem-certificate-chain')
          .send(authority().inspectionPem),
      )
    app.get(`${base}${openIdPath}`, async (_request, reply) => sendMetadata(reply, openId))
    app.get(`${oauthPath}${base}`, async (_request, reply) => sendMetadata(reply, oauth))
  }
}

/** Our SPIFFE bundle, for whoever federates with us too. */
export const bundleRoute = (
  app: FastifyInstance,
  path: string,
  authority: () => AuthoritySnapshot,
): void => {
  app.get(path, async (request, reply) =>
    sendDocument(request, reply, authority().bundle, 'application/json'),
  )
}

const cacheable = { 'cache-control': `public, max-age=${refreshHintSeconds}` } as const

const sendDocument = (
  request: FastifyRequest,
  reply: FastifyReply,
  { body, etag }: PublishedDocument,
  type: string,
) => {
  reply.headers({ ...cacheable, etag })
  return request.headers['if-none-match'] === etag
    ? reply.code(304).send()
    : reply.type(type).send(body)
}

const sendMetadata = (reply: FastifyReply, body: string) =>
  reply.headers(cacheable).type('application/json').send(body)
