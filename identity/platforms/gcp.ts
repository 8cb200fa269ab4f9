import { bad } from '../outcome.ts'
import { fitsProfile, lacking, objectClaim, textClaim, type PlatformProfile } from './profile.ts'

const accountNumber = /^[0-9]{1,30}$/
const instanceClaims = ['project_id', 'zone', 'instance_id', 'instance_name']

/**
 * An ID token of Google for a service account: its `sub` is the account's number, which is never given twice, where
 * `email` is. What it says of a Compute Engine instance, if it does, it says whole.
 *
 * @see https://cloud.google.com/compute/docs/instances/verifying-instance-identity
 */
export const gcp: PlatformProfile = (claims) => {
  if (!accountNumber.test(textClaim(claims, 'sub') ?? ''))
    return bad('its sub is not the number of an account')
  const fault = lacking(claims, ['azp'])
  if (fault) return fault
  if (claims['email'] !== undefined && claims['email_verified'] !== true)
    return bad('its email is not verified')
  if (!Object.hasOwn(claims, 'google')) return fitsProfile
  const instance = objectClaim(objectClaim(claims, 'google') ?? {}, 'compute_engine')
  if (!instance) return bad('its google claim has no compute_engine')
  return lacking(instance, instanceClaims, 'google.compute_engine.') ?? fitsProfile
}
