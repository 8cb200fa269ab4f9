import { faultOfHostPattern } from './host-pattern.ts'

/** Whether a host is one that a pattern means. The host is lower-case and has no dot at its end. */
export type HostMatcher = (host: string) => boolean

/**
 * Compiles a pattern of host names: `api.example.com` is itself, `*.example.com` any one label before it,
 * `**.example.com` one or more; neither is `example.com`. A `*` within a label or name stands for any part of that one
 * label: `ec2.*.amazonaws.com`, `region-*.example.com`.
 *
 * @throws TypeError that says what is wrong with it: a wildcard for everything or for a whole top-level domain, one in
 *   the last two labels, capitals, other letters than those of ASCII, a dot at the end, a port.
 */
export const hostMatcher = (pattern: string): HostMatcher => {
  const fault = faultOfHostPattern(pattern)
  if (fault !== undefined) throw new TypeError(`${JSON.stringify(pattern)} ${fault}`)
  if (!pattern.includes('*')) return (host) => host === pattern
  const labels = pattern.split('.')
  const isDeep = labels[0] === '**'
  const wanted = (isDeep ? labels.slice(1) : labels).map(labelMatcher)
  return (host) => {
    const given = host.split('.')
    const extra = given.length - wanted.length
    if (isDeep ? extra < 1 : extra !== 0) return false
    return wanted.every((fits, i) => fits(given[i + extra] ?? ''))
  }
}

/**
 * Whether every host that one pattern means is one that another means: `**.example.com` covers `*.example.com` and
 * `api.example.com`. It says no where it cannot tell.
 *
 * @throws TypeError as `hostMatcher` does.
 */
export const coversHosts = (wide: string, narrow: string): boolean =>
  // A wildcard is no letter of a pattern, so only a wildcard takes it, and that takes whatever else it stands for.
  (wide.startsWith('**.') || !narrow.startsWith('**.')) && hostMatcher(wide)(narrow)

/** Anchored at both ends, and never across a dot. */
const labelMatcher = (label: string): HostMatcher => {
  if (!label.includes('*')) return (given) => given === label
  const pieces = label.split('*').map((piece) => RegExp.escape(piece))
  const expression = new RegExp(`^${pieces.join('[^.]*')}$`)
  return (given) => given !== '' && expression.test(given)
}
