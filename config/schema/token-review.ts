import { Type, type Static } from 'typebox'
import { File, Named, Strict } from './words.ts'

/** How an API server of Kubernetes is asked whether a token is still good. */
export const TokenReview = Strict({
  url: Type.String({
    format: 'https-origin',
    description: 'The API server: `https://kubernetes.default.svc`.',
  }),
  caFile: Type.Optional(
    File('PEM certificates to trust there, instead of the public ones.', { holds: 'certificates' }),
  ),
  tokenFile: File(
    'Our own service account token for it; read anew for each question, since it is replaced while we run. Its account needs the ClusterRole `system:auth-delegator`.',
  ),
  timeoutMs: Type.Integer({
    minimum: 100,
    maximum: 30_000,
    default: 2000,
    description: 'For one question.',
  }),
  cacheSeconds: Type.Integer({
    minimum: 0,
    maximum: 300,
    default: 10,
    description:
      'How long an answer is taken for true. The API server itself remembers one for 10 seconds.',
  }),
})
export type TokenReview = Static<typeof TokenReview>

export const TokenReviews = Named(TokenReview, {
  default: {},
  description:
    'Issuers of `platform: kubernetes` whose tokens are also shown to their API server, which alone knows that a pod or a service account is gone. By the name of the issuer. While it cannot be asked, its tokens are refused with 503.',
})
