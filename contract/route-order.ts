/** How a route says which paths it takes. Segments are what stands between slashes. */
export type PathShape =
  /** This path and no other. */
  | { readonly exact: string }
  /** This path and all below it. `/` takes everything. */
  | { readonly prefix: string }
  /** `*` is exactly one segment that is not empty; a last `**` is any number of segments, none too. */
  | { readonly pattern: string }

/** What of a route decides when it is tried, among the routes of one host. */
export type RouteShape = {
  readonly path: PathShape
  readonly methods?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
}

const exactPath = 2
const patternPath = 1
const prefixPath = 0

const maxSegments = 1023
const maxHeaders = 127

/**
 * How specific a route is: of all that match a request, the one with the greatest precedence takes it. This is the whole
 * order:
 *
 * 1. an exact host before a wildcard (the caller's part: routes are compared within one host only);
 * 2. an exact path before a pattern before a prefix;
 * 3. the path with more segments, not counting a last `**`;
 * 4. the path with fewer `*`;
 * 5. a pattern without a last `**` before one with it;
 * 6. a route that names methods before one that takes all;
 * 7. a route that names more headers before one that names fewer.
 *
 * Two routes that could match one request and have the same precedence are a fault of the configuration: `sallyport
 * check` finds them, as it finds a route that never gets a request because a greater one takes them all.
 */
export const routePrecedence = ({ path, methods, headers }: RouteShape): number => {
  const { kind, segments, stars, open } = measure(path)
  const headerCount = headers === undefined ? 0 : Object.keys(headers).length
  let precedence: number = kind
  precedence = precedence * (maxSegments + 1) + Math.min(segments, maxSegments)
  precedence = precedence * (maxSegments + 1) + Math.min(segments - stars, maxSegments)
  precedence = precedence * 2 + (open ? 0 : 1)
  precedence = precedence * 2 + (methods === undefined ? 0 : 1)
  return precedence * (maxHeaders + 1) + Math.min(headerCount, maxHeaders)
}

/** Negative when `a` is tried before `b`: sorts routes of one host from the most specific to the least. */
export const compareRoutes = (a: RouteShape, b: RouteShape): number =>
  routePrecedence(b) - routePrecedence(a)

const measure = (path: PathShape) => {
  if ('exact' in path)
    return { kind: exactPath, segments: segmentsOf(path.exact).length, stars: 0, open: false }
  if ('prefix' in path)
    return { kind: prefixPath, segments: prefixSegments(path.prefix).length, stars: 0, open: true }
  const segments = segmentsOf(path.pattern)
  const open = segments.at(-1) === '**'
  return {
    kind: patternPath,
    segments: segments.length - (open ? 1 : 0),
    stars: segments.filter((segment) => segment === '*').length,
    open,
  }
}

/** Segments of a path that begins with `/`; the last one is empty when the path ends in `/`. */
export const segmentsOf = (path: string): string[] => path.slice(1).split('/')

/** Segments that must stand at the beginning: none for `/`. A slash at the end adds nothing. */
export const prefixSegments = (prefix: string): string[] =>
  prefix === '/' ? [] : segmentsOf(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix)
