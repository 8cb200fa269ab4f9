import type { Finding } from '../faults.ts'
import type { Rule } from './rule.ts'

/** What several processes that serve as one cannot share. */
export const workers: Rule = ({ number, text, has, routes, egressRules }) => {
  const count = number('/workers') ?? 1
  if (count < 2) return []
  const isLimited =
    has('/limits/address') ||
    egressRules.some(({ value }) => value.limits.requests !== undefined) ||
    routes.some(
      ({ value }) => value.limits.caller !== undefined || value.limits.route !== undefined,
    )
  const found: Finding[] = []
  if ((text('/audit/file') ?? 'stdout') === 'stdout')
    found.push({
      pointer: '/workers',
      at: 'value',
      message: `${count} workers cannot share standard output: records would be torn`,
      remedy: 'name a file as `audit: { file: … }`',
    })
  if (!has('/quarantine/redis'))
    found.push({
      pointer: '/workers',
      at: 'value',
      message: `each of ${count} workers would have a quarantine of its own: whoever is cut off at one is not at the others`,
      remedy: 'share it: `quarantine: { redis: … }`',
    })
  if (!has('/replay/redis'))
    found.push({
      pointer: '/workers',
      at: 'value',
      message: `each of ${count} workers would take a DPoP proof that another took already`,
      remedy: 'have them remember together: `replay: { redis: … }`',
    })
  if (text('/dpop/nonce') === 'required' && !has('/dpop/nonceKey'))
    found.push({
      pointer: '/dpop/nonce',
      at: 'value',
      message: `each of ${count} workers would refuse the nonces of the others`,
      remedy: 'give them one key: `dpop: { nonceKey: … }`',
    })
  if (has('/quarantine/file'))
    found.push({
      pointer: '/quarantine/file',
      at: 'key',
      message: `${count} workers cannot keep one file`,
      remedy:
        'leave it out: while Redis is away, a worker that starts refuses all until it knows the list',
    })
  if (isLimited && !has('/limits/store/redis'))
    found.push({
      severity: 'warning',
      pointer: '/workers',
      at: 'value',
      message: `each of ${count} workers counts limits for itself, so a caller or workload may get ${count} times as much`,
      remedy: 'count in Redis: `limits: { store: { redis: … } }`',
    })
  for (const { name, pointer, value } of egressRules) {
    const [limit] = byteLimits.filter((one) => value.limits[one] !== undefined)
    if (limit !== undefined)
      found.push({
        severity: 'warning',
        pointer: `${pointer}/limits/${limit}`,
        at: 'value',
        message: `each of ${count} workers counts the bytes and tunnels of a workload for itself, so one of rule \`${name}\` may move ${count} times as much`,
        remedy: `allow a share of what you mean, or have one worker: these are counted nowhere else`,
      })
  }
  return found
}

const byteLimits = ['maxBytesPerDay', 'maxBytesOutPerDay', 'maxBytesInPerDay'] as const
