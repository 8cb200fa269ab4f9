import { bad } from '../outcome.ts'
import { fitsProfile, lacking, objectClaim, textClaim, type PlatformProfile } from './profile.ts'

/**
 * A projected token of a Kubernetes service account. Its `sub` has to be the one that namespace and name make, and the
 * account's `uid` has to be there: a deleted account and its namesake differ in nothing else.
 *
 * The tokens of old secrets (`kubernetes.io/serviceaccount/…` claims) never end and name no audience; they are refused
 * whatever else they say. A token that is bound to a pod names it whole.
 *
 * @see https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
 */
export const kubernetes: PlatformProfile = (claims) => {
  if (Object.keys(claims).some((name) => name.startsWith('kubernetes.io/')))
    return bad('it is a service account token of the old kind, which never ends')
  const bound = objectClaim(claims, 'kubernetes.io')
  const account = bound && objectClaim(bound, 'serviceaccount')
  if (!bound || !account) return bad('it has no kubernetes.io.serviceaccount')
  const fault =
    lacking(bound, ['namespace'], 'kubernetes.io.') ??
    lacking(account, ['name', 'uid'], 'kubernetes.io.serviceaccount.')
  if (fault) return fault
  const namespace = textClaim(bound, 'namespace')
  const name = textClaim(account, 'name')
  if (claims['sub'] !== `system:serviceaccount:${namespace}:${name}`)
    return bad('its sub is not that of its service account')
  if (!Object.hasOwn(bound, 'pod')) return fitsProfile
  const pod = objectClaim(bound, 'pod')
  if (!pod) return bad('its kubernetes.io.pod is no object')
  return lacking(pod, ['name', 'uid'], 'kubernetes.io.pod.') ?? fitsProfile
}
