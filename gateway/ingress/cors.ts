import cors from 'cors'
import type { Route } from '#config/schema'

type CorsOptions = NonNullable<Route['cors']>

/** What a route tells browsers about pages of other origins. */
export type Cors = {
  /** For an answer, refusals too: name, value, name, value …; only `vary` for an origin that may not read it. */
  readonly answer: (origin: string | undefined) => readonly string[]
  /** For the answer to a preflight; undefined for an origin that may not call. */
  readonly preflight: (origin: string) => readonly string[] | undefined
}

const allMethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

/**
 * Makes of a route's options what it answers browsers with.
 *
 * The library is a middleware. It is given the two things of a request that it reads, and what it sets is collected: so it
 * can answer for each route, and its headers go into whichever answer there is.
 *
 * @see Fetch standard §3.2 "CORS protocol"
 */
export const compileCors = ({ cors: options, match }: Route): Cors | undefined =>
  options && corsOf(options, match.methods ?? allMethods)

const corsOf = (options: CorsOptions, methodsOfRoute: readonly string[]): Cors => {
  const isForAll = options.origins.includes('*')
  const handle = cors<Asked>({
    origin: isForAll ? '*' : options.origins.map(originMatcher),
    methods: [...(options.methods ?? methodsOfRoute)],
    allowedHeaders: [...options.headers],
    exposedHeaders: [...options.exposedHeaders],
    credentials: options.credentials,
    maxAge: options.maxAgeSeconds,
  })
  const ask = (asked: Asked) => {
    const told = new Map<string, string>()
    handle(asked, collector(told), rethrow)
    told.delete('content-length') // of a 204 there is none (RFC 9110 §8.6)
    return told
  }
  const varying = isForAll ? [] : ['vary', 'Origin']
  return {
    answer: (origin) => {
      if (origin === undefined) return varying
      const told = ask({ method: 'GET', headers: { origin } })
      return told.has(allowOrigin) ? flat(told) : varying
    },
    preflight: (origin) => {
      const told = ask({ method: 'OPTIONS', headers: { origin } })
      return told.has(allowOrigin) ? flat(told) : undefined
    },
  }
}

const allowOrigin = 'access-control-allow-origin'

type Asked = { readonly method: string; readonly headers: { readonly origin: string } }

/** All that the library asks of a response. */
const collector = (told: Map<string, string>) => ({
  statusCode: 204,
  getHeader: (name: string) => told.get(name.toLowerCase()),
  setHeader: (name: string, value: string) => void told.set(name.toLowerCase(), value),
  end: () => {},
})

const rethrow = (cause?: unknown): void => {
  if (cause !== undefined) throw cause
}

const flat = (told: ReadonlyMap<string, string>): readonly string[] => [...told].flat()

/** `https://*.example.com` is any one label before it; all else is itself. Anchored at both ends. */
const originMatcher = (pattern: string): string | RegExp => {
  const [before, after] = pattern.split('*')
  if (before === undefined || after === undefined) return pattern
  return new RegExp(`^${RegExp.escape(before)}[a-z0-9_-]+${RegExp.escape(after)}$`)
}

/** An answer's headers with ours in the place of those by which the service would have spoken to browsers itself. */
export const withCors = (headers: readonly string[], ours: readonly string[]): string[] => {
  const kept: string[] = []
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const [name = '', value = ''] = [headers[i], headers[i + 1]]
    if (!name.startsWith('access-control-')) kept.push(name, value)
  }
  return [...kept, ...ours]
}
