import type { AuditEvent } from '#contract/audit-event'
import type { EgressProtocol } from '#contract/egress'

/** A place that a rule let through without listing it. */
export type Seen = {
  readonly rule: string
  readonly host: string
  readonly port: number
  readonly protocol: EgressProtocol
  /** Of plain requests: the paths that each method was sent to. */
  readonly pathsOf: ReadonlyMap<string, ReadonlySet<string>>
  readonly times: number
  readonly workloads: number
  /** ISO 8601. */
  readonly last: string
}

export type Collected = {
  /** Takes a record, of whatever kind. Returns false once there are too many places to be remembered. */
  readonly take: (event: AuditEvent) => boolean
  readonly seen: () => readonly Seen[]
}

type Growing = Omit<Seen, 'workloads' | 'pathsOf'> & {
  readonly workloads: Set<string>
  readonly pathsOf: Map<string, Set<string>>
  times: number
  last: string
}

/**
 * Gathers from records where workloads went that `enforce` would have refused. What was refused all the same (a closed
 * address, another server name) or could not be reached is no reason to allow anything.
 *
 * @param onlyRule Of this rule alone; of all, if undefined.
 * @param maxKept Places, methods, paths and workloads remembered, together.
 */
export const collect = (onlyRule: string | undefined, maxKept = 200_000): Collected => {
  const all = new Map<string, Growing>()
  let kept = 0

  const remember = (set: Set<string>, value: string) => {
    if (set.has(value)) return
    set.add(value)
    kept += 1
  }
  const placeOf = (key: string, fresh: () => Growing): Growing => {
    const known = all.get(key)
    if (known) return known
    const place = fresh()
    all.set(key, place)
    kept += 1
    return place
  }

  return {
    take: ({ kind, outcome, egress, request, spiffeId = '', time }) => {
      if (kind !== 'egress' || outcome !== 'forwarded' || !egress) return true
      const { wouldRefuse, phase, rule, protocol, host, port } = egress
      // A tunnel has two records; the first is enough.
      if (wouldRefuse === undefined || phase === 'closed' || !rule || !protocol) return true
      if (onlyRule !== undefined && rule !== onlyRule) return true
      if (kept >= maxKept) return false
      const place = placeOf([rule, protocol, host, port].join(' '), () => ({
        rule,
        protocol,
        host,
        port,
        pathsOf: new Map(),
        workloads: new Set(),
        times: 0,
        last: time,
      }))
      place.times += 1
      if (time > place.last) place.last = time
      remember(place.workloads, spiffeId)
      if (request && request.path !== '') {
        const paths = place.pathsOf.get(request.method) ?? new Set()
        place.pathsOf.set(request.method, paths)
        remember(paths, request.path)
      }
      return true
    },
    seen: () =>
      [...all.values()]
        .map((place) => ({ ...place, workloads: place.workloads.size }))
        .sort((a, b) => b.times - a.times || (a.host < b.host ? -1 : 1)),
  }
}
