import { bad } from '../outcome.ts'
import { fitsProfile, isNumericId, lacking, textClaim, type PlatformProfile } from './profile.ts'

/**
 * A token of a GitHub Actions job. Names of owners and repositories can be given to others after they were left, so the
 * ids have to be there to be matched; a `sub` in one of GitHub's own forms has to be of the same repository, with names
 * alone or, since July 2026, with ids: `repo:OWNER@ID/REPO@ID:…`. (An organisation may choose other forms of `sub`.)
 *
 * @see https://docs.github.com/en/actions/reference/security/oidc
 */
export const github: PlatformProfile = (claims) => {
  const fault = lacking(claims, [
    'repository',
    'repository_id',
    'repository_owner',
    'repository_owner_id',
    'event_name',
    'ref',
    'job_workflow_ref',
    'run_id',
  ])
  if (fault) return fault
  const id = textClaim(claims, 'repository_id')
  const ownerId = textClaim(claims, 'repository_owner_id')
  if (!isNumericId(id) || !isNumericId(ownerId)) return bad('an id of its repository is no number')
  const repository = textClaim(claims, 'repository') ?? ''
  const owner = textClaim(claims, 'repository_owner') ?? ''
  const [ownerInName, name, ...more] = repository.split('/')
  if (ownerInName !== owner || !name || more.length > 0)
    return bad('its repository is not one of its repository_owner')
  const subject = textClaim(claims, 'sub') ?? ''
  if (!subject.startsWith('repo:')) return fitsProfile
  const own = [`repo:${repository}:`, `repo:${owner}@${ownerId}/${name}@${id}:`]
  return own.some((form) => subject.startsWith(form))
    ? fitsProfile
    : bad('its sub is not that of its repository')
}
