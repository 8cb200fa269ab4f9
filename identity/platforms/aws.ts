import { bad } from '../outcome.ts'
import { fitsProfile, objectClaim, textClaim, type PlatformProfile } from './profile.ts'

const claimsName = 'https://sts.amazonaws.com/'
const principal = /^arn:aws(?:-[a-z-]+)?:(?:iam|sts)::([0-9]{12}):[a-z-]+\/[ -~]+$/

/**
 * A token of `sts:GetWebIdentityToken`: its `sub` is the ARN of a principal in the account that AWS names beside it.
 * `request_tags` are what the caller itself wrote: `check` refuses rules that match on them.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_outbound.html
 */
export const aws: PlatformProfile = (claims) => {
  const own = objectClaim(claims, claimsName)
  if (!own) return bad(`it has no ${claimsName}`)
  const [, account] = principal.exec(textClaim(claims, 'sub') ?? '') ?? []
  if (account === undefined) return bad('its sub is not the ARN of a principal')
  return textClaim(own, 'aws_account') === account
    ? fitsProfile
    : bad('its aws_account is not that of its sub')
}
