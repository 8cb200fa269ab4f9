import { bad, good, type Outcome } from '../outcome.ts'

/** Whom STS says that a request was signed by. */
export type CallerIdentity = {
  readonly account: string
  /** ARN of the role or user itself. For a role without its path, which STS does not tell. */
  readonly principal: string
  readonly kind: 'role' | 'user'
  /** Given once by AWS: a namesake that is made later has another. */
  readonly uniqueId: string
  /** As STS says it: for a role with the name of its session, which whoever takes the role chooses. */
  readonly arn: string
}

const maxBodyBytes = 8192
const root = 'https://sts.amazonaws.com/doc/2011-06-15/'
const contentType = /^text\/xml(?: *; *charset=utf-8)?$/i

/** The whole document, nothing besides: no comments, entities, attributes, instructions, and no element of another answer. */
const shape = new RegExp(
  [
    '^(?:<\\?xml version="1\\.0"(?: encoding="(?:UTF|utf)-8")?\\?>)?',
    `<GetCallerIdentityResponse xmlns="${RegExp.escape(root)}">`,
    '<GetCallerIdentityResult>',
    '((?:<[A-Za-z]+>[^<>&]*</[A-Za-z]+>\\s*)*)</GetCallerIdentityResult>',
    '<ResponseMetadata>',
    '<RequestId>[A-Za-z0-9-]{1,128}</RequestId>',
    '</ResponseMetadata>',
    '</GetCallerIdentityResponse>$',
  ].join('\\s*'),
)
const element = /<([A-Za-z]+)>([^<>&]*)<\/([A-Za-z]+)>/g
const members = ['Arn', 'UserId', 'Account'] as const

/**
 * Reads what STS answers to `GetCallerIdentity`, and nothing else that might be XML: a service that repeats what it was
 * asked could else be made to name anybody (CVE-2020-16250).
 *
 * @returns A fault for an answer of another shape, whose parts contradict each other, or that names neither a role nor a
 *   user: the root of an account and federated users have no name that lasts.
 * @see https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
 */
export const readCallerIdentity = (
  type: string | undefined,
  body: Buffer,
): Outcome<CallerIdentity> => {
  if (!contentType.test(type ?? '')) return bad('it is not text/xml')
  if (body.length > maxBodyBytes) return bad('it is too long')
  const [, result] = shape.exec(body.toString('utf8').trim()) ?? []
  if (result === undefined) return bad('it is no GetCallerIdentityResponse')
  const said = new Map<string, string>()
  for (const [, name = '', value = '', end] of result.matchAll(element)) {
    if (name !== end || said.has(name)) return bad('an element of it is broken or comes twice')
    said.set(name, value)
  }
  if (said.size !== members.length || !members.every((name) => said.has(name)))
    return bad('it has not exactly an Arn, a UserId and an Account')
  return principalOf(said.get('Arn') ?? '', said.get('UserId') ?? '', said.get('Account') ?? '')
}

const arnShape =
  /^arn:(aws(?:-[a-z]+)*):(iam|sts)::([0-9]{12}):(user|assumed-role)\/([ -~]{1,700})$/
const idShape = /^[A-Z0-9]{16,128}$/
const nameShape = /^[\w+=,.@-]{1,128}$/

const principalOf = (arn: string, userId: string, account: string): Outcome<CallerIdentity> => {
  const [, partition, service, ofArn, kind, rest = ''] = arnShape.exec(arn) ?? []
  if (ofArn === undefined) return bad('its Arn is of no role and no user')
  if (ofArn !== account) return bad('its Account is not that of its Arn')
  const parts = rest.split('/')
  if (!parts.every((part) => nameShape.test(part))) return bad('its Arn is malformed')
  if (kind === 'user')
    return service === 'iam' && idShape.test(userId)
      ? good({ account, principal: arn, kind, uniqueId: userId, arn })
      : bad('its UserId is not that of a user')
  const [role = '', session, ...more] = parts
  const [uniqueId = '', ofSession, ...moreOfId] = userId.split(':')
  if (service !== 'sts' || session === undefined || more.length > 0)
    return bad('its Arn is not that of a role that was taken')
  if (!idShape.test(uniqueId) || ofSession !== session || moreOfId.length > 0)
    return bad('its UserId is not that of its session')
  const principal = `arn:${partition}:iam::${account}:role/${role}`
  return good({ account, principal, kind: 'role', uniqueId, arn })
}
