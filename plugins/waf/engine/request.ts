import {
  entriesOfFlat,
  joinEntries,
  makeEntries,
  namesOf,
  noEntries,
  type Entries,
} from './entries.ts'
import { urlencodedBody } from '../bodies/urlencoded.ts'
import type { BodyLimits } from '../bodies/body.ts'
import { urlDecode } from '../transformations/url-decode.ts'

/** A request as it came. All text is latin1: one character is one byte. */
export type RequestInput = {
  readonly method: string
  /** The request target as sent: path and query, or absolute, with its fragment if it has one. */
  readonly target: string
  /** `HTTP/1.1`; '' if the request line has none. */
  readonly protocol: string
  /** Name, value, name, value …, in order of arrival. */
  readonly headers: readonly string[]
  readonly remoteAddress: string
  readonly remotePort?: number
  readonly serverAddress?: string
  readonly serverPort?: number
  /** Tells this request from all others. */
  readonly uniqueId: string
  /** Milliseconds since 1970. */
  readonly nowMs: number
}

/** What is known of a request before its body, as the variables have it. */
export type RequestFacts = {
  readonly input: RequestInput
  readonly line: string
  readonly uri: string
  readonly filename: string
  readonly basename: string
  readonly queryString: string
  readonly headers: Entries
  readonly headerNames: Entries
  readonly cookies: Entries
  readonly cookieNames: Entries
  readonly argsGet: Entries
  readonly invalidQueryEncoding: boolean
  readonly queryOverLimit: boolean
}

/** Reads head and target of a request. */
export const readRequest = (input: RequestInput, limits: BodyLimits): RequestFacts => {
  const { method, target, protocol } = input
  const headers = entriesOfFlat(input.headers)
  const cookies = readCookies(headers)
  const hash = target.indexOf('#')
  const uri = withoutHost(hash < 0 ? target : target.slice(0, hash))
  // Cut at the question mark before decoding: else `%3F` would hide the rest of the path.
  const mark = uri.indexOf('?')
  const queryString = mark < 0 ? '' : uri.slice(mark + 1)
  const path = mark < 0 ? uri : uri.slice(0, mark)
  const filename = path.includes('%') ? decodePath(path) : path
  const query = queryString === '' ? undefined : urlencodedBody(queryString, limits)
  return {
    input,
    line: protocol === '' ? `${method} ${target}` : `${method} ${target} ${protocol}`,
    // Decoded, as the rules that look for backslashes in it expect; REQUEST_URI_RAW is what was sent.
    uri: uri.includes('%') ? decodePath(uri) : uri,
    filename,
    basename: filename.slice(Math.max(filename.lastIndexOf('/'), filename.lastIndexOf('\\')) + 1),
    queryString,
    headers,
    headerNames: namesOf(headers),
    cookies,
    cookieNames: namesOf(cookies),
    argsGet: query ? makeEntries(query.args) : noEntries,
    invalidQueryEncoding: query?.invalidEncoding === true,
    queryOverLimit: query?.overLimit === true,
  }
}

/** Of `http://host/path` only the path stays. */
const withoutHost = (target: string): string => {
  if (target.startsWith('/')) return target
  const authority = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?]*/.exec(target)
  return authority ? target.slice(authority[0].length) || '/' : target
}

/** A plus sign in a path is a plus sign. */
const decodePath = (path: string): string =>
  path
    .split('+')
    .map((part) => urlDecode.apply(part))
    .join('+')

/** Split at `;`, names left-trimmed, values as they are (SecCookieFormat 0). A name without `=` has the value ''. */
const readCookies = (headers: Entries): Entries => {
  let cookies = noEntries
  headers.keys.forEach((key, i) => {
    if (key !== 'cookie') return
    const pairs: [string, string][] = []
    for (const item of (headers.values[i] ?? '').split(';')) {
      const text = item.trimStart()
      const equals = text.indexOf('=')
      const name = equals < 0 ? text : text.slice(0, equals)
      if (name !== '') pairs.push([name, equals < 0 ? '' : text.slice(equals + 1)])
    }
    cookies = joinEntries(cookies, makeEntries(pairs))
  })
  return cookies
}
