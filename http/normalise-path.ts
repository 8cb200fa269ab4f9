import { pass, refuse, type Result } from '#contract/problem'

export const pathModes = ['reject', 'istio-decode-and-merge'] as const

/** How a path becomes the one string that router, guards, policy and upstream all see. */
export type PathPolicy = {
  /**
   * `reject`: what two programs could read differently is refused. `istio-decode-and-merge`: it is rewritten, byte for
   * byte as Istio's DECODE_AND_MERGE_SLASHES does.
   */
  readonly mode: (typeof pathModes)[number]
  /**
   * Matrix parameters (`/a;v=1`): some servers cut them off before they match a path, so `/..;/admin` may be `/admin`
   * there. `keep` still refuses a dot segment that carries one, except in Istio's mode, which leaves it alone.
   */
  readonly semicolon: 'refuse' | 'keep'
}

/** Path and query of a request target. */
export type Target = { readonly path: string; readonly query: string }

/**
 * Makes the reader of request targets in origin form.
 *
 * @returns A function that refuses with `path-invalid`. Percent escapes of unreserved characters are decoded, once, and
 *   all others stay as they were sent; the query is not touched.
 * @see RFC 3986 §6.2.2, Envoy CVE-2019-9901, CVE-2021-29492, Istio CVE-2021-31920
 */
export const targetReader = (policy: PathPolicy): ((target: string) => Result<Target>) => {
  const normalise = policy.mode === 'reject' ? rejecting(policy) : decodingAndMerging(policy)
  const cutsFragment = policy.mode === 'istio-decode-and-merge'
  return (target) => {
    const hash = target.indexOf('#')
    if (hash >= 0 && !cutsFragment) return invalid('a fragment')
    const sent = hash < 0 ? target : target.slice(0, hash)
    const question = sent.indexOf('?')
    const path = normalise(question < 0 ? sent : sent.slice(0, question))
    if (!path.ok) return path
    return pass({ path: path.value, query: question < 0 ? '' : sent.slice(question) })
  }
}

const rejecting =
  ({ semicolon }: PathPolicy) =>
  (path: string): Result<string> => {
    if (isPlain(path)) return pass(path)
    if (!path.startsWith('/')) return invalid('no leading slash')
    if (path.includes('\\')) return invalid('a backslash')
    if (path.includes(';') && semicolon === 'refuse') return invalid('a semicolon')
    if (path.includes('//')) return invalid('an empty segment')
    if (notVisibleAscii.test(path)) return invalid('a character that must be escaped')
    if (encodedDelimiter.test(path)) return invalid('an escaped slash, backslash or NUL')
    const decoded = decodeUnreserved(path)
    if (!decoded.ok) return decoded
    if (!isUtf8(decoded.value)) return invalid('an escape that is not UTF-8')
    if (dotSegment.test(decoded.value)) return invalid('a dot segment')
    return decoded
  }

const decodingAndMerging =
  ({ semicolon }: PathPolicy) =>
  (path: string): Result<string> => {
    if (isPlain(path)) return pass(path)
    if (path.includes(';') && semicolon === 'refuse') return invalid('a semicolon')
    if (notVisibleAscii.test(path)) return invalid('a character that must be escaped')
    if (encodedNul.test(path)) return invalid('an escaped NUL')
    const slashed = path.replace(encodedSlash, '/').replaceAll('\\', '/')
    if (!slashed.startsWith('/')) return invalid('no leading slash')
    // Envoy lets `%zz` stand; after decoding, `%2%65` would be the new escape `%2e`, so here it is refused.
    const decoded = decodeUnreserved(slashed)
    if (!decoded.ok) return decoded
    return pass(withoutDotSegments(decoded.value).replace(slashes, '/'))
  }

const notVisibleAscii = /[^\x21-\x7e]/
const encodedDelimiter = /%(?:2f|5c|00)/i
const encodedSlash = /%(?:2f|5c)/gi
const encodedNul = /%00/
const brokenEscape = /%(?![0-9a-f]{2})/i
const escape = /%[0-9a-f]{2}/gi
const unreserved = /[A-Za-z0-9\-._~]/
const encodedHighByte = /%[89a-f]/i
const slashes = /\/{2,}/g
/** `.` or `..` as a segment, also one that carries matrix parameters. */
const dotSegment = /\/\.\.?(?:[/;]|$)/

const invalid = (what: string) => refuse('path-invalid', { detail: `The path holds ${what}.` })

/** Whether nothing in it needs a second look: most paths end here. */
const isPlain = (path: string): boolean => {
  if (path.charCodeAt(0) !== slash) return false
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i)
    if (code === slash) {
      const next = path.charCodeAt(i + 1)
      if (next === slash || next === dot) return false
    } else if (isDelicate(code)) return false
  }
  return true
}

const slash = 0x2f
const dot = 0x2e
const isDelicate = (code: number): boolean =>
  code <= 0x20 || // controls, space
  code >= 0x7f ||
  code === 0x25 || // %
  code === 0x3b || // ;
  code === 0x5c // \

const decodeUnreserved = (path: string): Result<string> => {
  if (!path.includes('%')) return pass(path)
  if (brokenEscape.test(path)) return invalid('a broken escape')
  return pass(
    path.replace(escape, (sent) => {
      const character = String.fromCharCode(Number.parseInt(sent.slice(1), 16))
      return unreserved.test(character) ? character : sent
    }),
  )
}

/** Overlong forms, surrogates and stray bytes are none. */
const isUtf8 = (path: string): boolean => {
  if (!encodedHighByte.test(path)) return true
  try {
    decodeURIComponent(path)
    return true
  } catch (error) {
    if (error instanceof URIError) return false
    throw error
  }
}

/** RFC 3986 §5.2.4 on a path that begins with a slash: `..` takes away one segment, be it an empty one. */
const withoutDotSegments = (path: string): string => {
  const kept: string[] = []
  const segments = path.slice(1).split('/')
  segments.forEach((segment, i) => {
    const isLast = i === segments.length - 1
    if (segment === '..') kept.pop()
    if (segment !== '.' && segment !== '..') kept.push(segment)
    else if (isLast) kept.push('') // `/a/..` is the folder `/`, not nothing
  })
  return `/${kept.join('/')}`
}
