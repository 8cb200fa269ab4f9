import { bad } from '../outcome.ts'
import { fitsProfile, lacking, textClaim, type PlatformProfile } from './profile.ts'

const guid = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
const guidAlone = new RegExp(`^${guid}$`)
const guidInside = new RegExp(`/(${guid})/`)
const resource = /^\/subscriptions\/[^/]+\/resourcegroups\//i

/**
 * A token of Entra ID for a managed identity or an application: of the tenant that its issuer is, for itself and not for
 * a person. Which of `xms_mirid` and `xms_az_rid` names the machine depends on the kind of identity; one that is there
 * has to name a resource.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
 */
export const azure: PlatformProfile = (claims, issuer) => {
  const fault = lacking(claims, ['tid', 'oid'])
  if (fault) return fault
  const tenant = textClaim(claims, 'tid') ?? ''
  if (!guidAlone.test(tenant)) return bad('its tid is no id of a tenant')
  const [, issuersTenant = tenant] = guidInside.exec(`${issuer}/`) ?? []
  if (issuersTenant !== tenant) return bad('its tid is not the tenant of its issuer')
  if (textClaim(claims, 'appid') === undefined && textClaim(claims, 'azp') === undefined)
    return bad('it has no appid and no azp')
  // Of an application `sub` is its own object; a person's is another for each client.
  if (claims['sub'] !== claims['oid']) return bad('it is not for an application itself')
  for (const name of ['xms_mirid', 'xms_az_rid'])
    if (claims[name] !== undefined && !resource.test(textClaim(claims, name) ?? ''))
      return bad(`its ${name} names no resource`)
  return fitsProfile
}
