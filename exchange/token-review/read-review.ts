import { isDeepStrictEqual } from 'node:util'
import { isJsonObject, parseStrictObject, type JsonObject } from '#identity/json-strict'
import { bad, good, type Outcome } from '#identity/outcome'
import type { VerifiedToken } from '#identity/jwt/verified-token'

/** What an API server says of a token: undefined if it is good, else why it is not, for the record. */
export type Reviewed = { readonly why: string | undefined }

const podUid = 'authentication.kubernetes.io/pod-uid'
const accountsGroup = 'system:serviceaccounts'
const maxWhyChars = 200

/** The question. Only audiences that the token has and that are ours: none would mean those of the API server itself. */
export const reviewOf = (token: string, audiences: readonly string[]): string =>
  JSON.stringify({
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    spec: { token, audiences },
  })

/**
 * Reads the answer. A token is good if it says so without any error, for one of the audiences that were asked about, and
 * of the very account and pod that the token names.
 *
 * @returns A fault for what is no TokenReview: then nobody knows.
 * @see https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
 */
export const readReview = (
  body: Buffer,
  { subject, claims }: Pick<VerifiedToken, 'subject' | 'claims'>,
  asked: readonly string[],
): Outcome<Reviewed> => {
  const parsed = parseStrictObject(body)
  if (!parsed.ok) return bad(`its answer: ${parsed.fault}`)
  const { apiVersion, kind, status } = parsed.value
  if (apiVersion !== 'authentication.k8s.io/v1' || kind !== 'TokenReview' || !isJsonObject(status))
    return bad('its answer is no TokenReview')
  const { authenticated, error, user, audiences } = status
  if (authenticated !== true) return notGood(typeof error === 'string' ? error : 'no reason given')
  if (error !== undefined && error !== '')
    return notGood(`authenticated, and yet: ${JSON.stringify(error)}`)
  if (!isListOfTexts(audiences) || !audiences.some((audience) => asked.includes(audience)))
    return notGood('not for any of our audiences')
  if (!isJsonObject(user) || user['username'] !== subject) return notGood('of another user')
  const { groups, uid } = user
  if (!isListOfTexts(groups) || !groups.includes(accountsGroup))
    return notGood('not of a service account')
  const named = bound(claims)
  if (uid !== named.account) return notGood('of another account of that name')
  const extra = isJsonObject(user['extra']) ? user['extra'] : {}
  if (named.pod !== undefined && !isDeepStrictEqual(extra[podUid], [named.pod]))
    return notGood('of another pod')
  return good({ why: undefined })
}

const notGood = (why: string): Outcome<Reviewed> => good({ why: why.slice(0, maxWhyChars) })

/** As the profile of the platform has seen to. */
const bound = (claims: JsonObject): { readonly account: unknown; readonly pod: unknown } => {
  const io = claims['kubernetes.io']
  const uidOf = (name: string) => {
    const one = isJsonObject(io) ? io[name] : undefined
    return isJsonObject(one) ? one['uid'] : undefined
  }
  return { account: uidOf('serviceaccount'), pod: uidOf('pod') }
}

const isListOfTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string')
