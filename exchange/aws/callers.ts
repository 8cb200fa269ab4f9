import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { ProblemTag } from '#contract/problem'
import type { Secret } from '#contract/secret'
import type { SpiffeId } from '#contract/spiffe-id'
import type { ExchangeConfig } from '#config/schema'
import { boundedFetch, type BoundedFetch } from '#http/bounded-fetch'
import { readCallerIdentity, type CallerIdentity } from '#identity/platforms/aws-caller-identity'
import { readPresigned, type SignedCallerIdentity } from '#identity/platforms/aws-presigned'
import { readSignedPost } from '#identity/platforms/aws-signed'
import {
  grantedAs,
  oauthRefuse,
  type OAuthRefusal,
  type OAuthResult,
} from '../token/oauth-error.ts'
import type { CheckedToken } from '../token/party.ts'

/** Checks a signed request by sending it, and says who signed it. */
export type CheckAwsCaller = (
  request: Secret<string>,
  nowMs: number,
) => Promise<OAuthResult<CheckedToken & { readonly found: AwsIdentity }>>

/** Who a principal of AWS is here, and the name that the configuration gives it. */
export type AwsIdentity = {
  readonly spiffeId: SpiffeId
  readonly rule: string
  readonly revision: string
}

export type AwsCallers = { readonly check: CheckAwsCaller; readonly close: () => void }

/** What records call AWS as an issuer; no issuer of the configuration can have this name. */
export const awsIssuerName = '(aws)'
/** The header that a request must be signed with, and whose value is our issuer: what is signed for another is no good here. */
export const awsBindingHeader = 'x-sallyport-exchange'

const timeoutMs = 3000
const maxAnswerBytes = 16_384
/** Questions to STS at a time: whoever sends rubbish makes us ask, too. */
const maxUnderWay = 32

/**
 * The callers of `aws.callers`.
 *
 * @param issuer Our own identifier, which they sign.
 * @throws Error for a `caFile` that cannot be read, and for two callers with one ARN.
 */
export const awsCallers = (
  { endpoints, caFile, callers }: NonNullable<ExchangeConfig['aws']>,
  issuer: string,
): AwsCallers => {
  const ca = caFile === undefined ? {} : { ca: readFileSync(caFile, 'utf8') }
  const fetcher = boundedFetch({ ...ca, timeoutMs, maxBodyBytes: maxAnswerBytes })
  const rules = {
    hosts: new Set(endpoints.map((url) => new URL(url).host)),
    header: awsBindingHeader,
    value: issuer,
  }
  const find = finder(callers)
  let underWay = 0

  const ask = async (signed: SignedCallerIdentity): Promise<OAuthResult<CallerIdentity>> => {
    if (underWay >= maxUnderWay) return unavailable('STS is being asked too much at once')
    underWay++
    try {
      return await askSts(fetcher, signed)
    } finally {
      underWay--
    }
  }

  return {
    check: async (request, nowMs) => {
      const text = request.reveal()
      const read = text.startsWith('{') ? readSignedPost : readPresigned
      const signed = read(text, rules, nowMs)
      if (!signed.ok) return refused('token-malformed', 'it is not acceptable', signed.fault)
      const asked = await ask(signed.value)
      if (!asked.ok) return asked
      const identity = asked.value
      const found = find(identity)
      if (found === undefined)
        return refused(
          'identity-unmapped',
          'this caller has no identity here',
          `${identity.principal} (${identity.uniqueId}) is none of aws.callers`,
        )
      return grantedAs({ token: asToken(signed.value, identity, issuer), own: undefined, found })
    },
    close: fetcher.close,
  }
}

const finder = (callers: NonNullable<ExchangeConfig['aws']>['callers']) => {
  const revision = hash('sha256', JSON.stringify(callers)).slice(0, 12)
  const byArn = new Map(
    Object.entries(callers).map(([rule, { arn, uniqueId, spiffeId }]) => [
      arn,
      { rule, revision, uniqueId, spiffeId: spiffeId as SpiffeId },
    ]),
  )
  if (byArn.size !== Object.keys(callers).length)
    throw new Error('aws.callers: two of them have the same `arn`')
  return ({ principal, uniqueId }: CallerIdentity): AwsIdentity | undefined => {
    const caller = byArn.get(principal)
    if (caller === undefined) return undefined
    // A namesake of a role that was deleted is somebody else.
    return caller.uniqueId === undefined || caller.uniqueId === uniqueId ? caller : undefined
  }
}

/** The host is one of the configuration, the path is ours, and so is the value of the header. */
const askSts = async (
  fetcher: BoundedFetch,
  { host, question: { url, ...question } }: SignedCallerIdentity,
): Promise<OAuthResult<CallerIdentity>> => {
  const answer = await fetcher.ask(url, question)
  if (!answer.ok) return unavailable(`${host}: ${answer.fault}`)
  const { status, contentType, body } = answer
  if (status === 403)
    return refused('token-signature-invalid', 'AWS does not accept it', `${host}: 403`)
  // 400 is throttling, too.
  if (status !== 200) return unavailable(`${host}: status ${status}`)
  const identity = readCallerIdentity(contentType, body)
  return identity.ok
    ? grantedAs(identity.value)
    : refused(
        'token-claim-invalid',
        'AWS names nobody who could be known',
        `${host}: ${identity.fault}`,
      )
}

const asToken = (
  { accessKeyId, fingerprint, signedAtMs, expiresAtMs }: SignedCallerIdentity,
  { account, arn, kind, principal, uniqueId }: CallerIdentity,
  issuer: string,
): CheckedToken['token'] => ({
  issuerName: awsIssuerName,
  issuer: 'https://sts.amazonaws.com',
  subject: arn,
  audiences: [issuer],
  claims: Object.freeze({ sub: arn, account, arn: principal, kind, unique_id: uniqueId }),
  kid: accessKeyId,
  jti: undefined,
  issuedAtMs: signedAtMs,
  expiresAtMs,
  fingerprint,
  comesAgain: false,
})

const unavailable = (cause: string): OAuthRefusal =>
  oauthRefuse(
    'temporarily_unavailable',
    'issuer-unavailable',
    'AWS cannot be asked at the moment',
    {
      cause,
      retryAfterSeconds: 5,
    },
  )

const refused = (tag: ProblemTag, why: string, cause: string): OAuthRefusal =>
  oauthRefuse('invalid_request', tag, `subject_token: ${why}`, { cause })
