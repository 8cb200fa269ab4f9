import type { Complaint } from './faults.ts'

const maxPathBytes = 2048

/** RFC 3986 `pchar` without the percent sign, which is judged apart, and without `*`, which means something here. */
const plainSegment = /^[A-Za-z0-9\-._~!$&'()+,;=:@]*$/
const encoded = /%[0-9A-F]{2}/g

/**
 * Why a path cannot stand at a route. Requests are matched after their path was normalised, so a path that is not
 * normal itself would never match, and the route would never be reached.
 */
export const explainPath =
  (kind: 'exact' | 'prefix' | 'pattern') =>
  (text: string): Complaint | undefined => {
    const no = (message: string, remedy: string): Complaint => ({ message, remedy })
    if (!text.startsWith('/')) return no('does not begin with `/`', 'begin it with `/`')
    if (text.length > maxPathBytes) return no('is too long', `use up to ${maxPathBytes} characters`)
    if (/[?#]/.test(text)) return no('has a query or fragment', 'paths are matched without them')
    if (kind === 'prefix' && text.endsWith('/') && text !== '/')
      return no('ends in a slash', 'take the slash out: what is below is meant too')
    const segments = text.slice(1).split('/')
    if (segments.slice(0, -1).includes(''))
      return no('has an empty segment', 'requests with one never get here: take it out')
    for (const [i, segment] of segments.entries()) {
      if (segment === '.' || segment === '..')
        return no('has a dot segment', 'requests with one never get here: write the path out')
      if (segment.includes('*')) {
        const whole = segment === '*' || (segment === '**' && i === segments.length - 1)
        if (kind === 'pattern' && whole) continue
        return kind === 'pattern'
          ? no('has a `*` that is no whole segment, or a `**` before the end', starHelp)
          : no('has a `*`', 'use `pattern:` for that')
      }
      if (!plainSegment.test(segment.replaceAll(encoded, '')))
        return no('has a character that no path has', 'percent-encode it, with capital hex digits')
    }
    return undefined
  }

const starHelp = 'write `/a/*/b` for any one segment, `/a/**` for any number of last ones'
