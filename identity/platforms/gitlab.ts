import { bad } from '../outcome.ts'
import { fitsProfile, isNumericId, lacking, textClaim, type PlatformProfile } from './profile.ts'

/**
 * An ID token of a GitLab CI job. The ids have to be there, since paths can be given to others; a `sub` in GitLab's own
 * form has to be of the same project.
 *
 * @see https://docs.gitlab.com/ci/secrets/id_token_authentication/
 */
export const gitlab: PlatformProfile = (claims) => {
  const fault = lacking(claims, [
    'project_id',
    'project_path',
    'namespace_id',
    'namespace_path',
    'ref',
    'ref_type',
    'ref_protected',
    'pipeline_id',
    'job_id',
  ])
  if (fault) return fault
  if (!['project_id', 'namespace_id'].every((name) => isNumericId(textClaim(claims, name))))
    return bad('an id of its project is no number')
  const path = textClaim(claims, 'project_path') ?? ''
  if (!path.startsWith(`${textClaim(claims, 'namespace_path')}/`))
    return bad('its project_path is not one of its namespace_path')
  const subject = textClaim(claims, 'sub') ?? ''
  return !subject.startsWith('project_path:') || subject.startsWith(`project_path:${path}:`)
    ? fitsProfile
    : bad('its sub is not that of its project')
}
