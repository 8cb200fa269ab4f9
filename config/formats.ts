import { isIP } from 'node:net'
import { faultOfHostPattern } from '#contract/host-pattern'
import { addressBytes } from '#contract/ip-address'
import { parseSpiffeId, parseTrustDomain } from '#contract/spiffe-id'
import type { Complaint } from './faults.ts'
import { explainPath } from './path-format.ts'

/** Undefined when the text is of the format; else a message that completes "VALUE …". */
type Format = (text: string) => Complaint | undefined

const no = (message: string, remedy: string): Complaint => ({ message, remedy })

const file: Format = (text) => {
  if (text.includes('\0')) return no('is not a path', 'name a file')
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(text)
    ? no('is a URL, and a file is expected', 'put it into a file and name the file')
    : undefined
}

const trustDomain: Format = (text) => {
  if (parseTrustDomain(text).ok) return undefined
  if (text.startsWith('spiffe://')) return no('is a SPIFFE ID', 'name the trust domain alone')
  return no(
    'is not a trust domain',
    'use up to 255 lower-case letters, digits, `.`, `-` and `_`, such as `mesh.example`',
  )
}

const spiffeId: Format = (text) => {
  if (parseSpiffeId(text).ok) return undefined
  const example = 'write `spiffe://TRUST_DOMAIN/PATH`'
  if (!text.startsWith('spiffe://')) return no('is not a SPIFFE ID', example)
  const [, authority = '', path = ''] = /^spiffe:\/\/([^/]*)(.*)$/s.exec(text) ?? []
  if (!parseTrustDomain(authority).ok)
    return no('has no good trust domain', trustDomain(authority)?.remedy ?? example)
  if (path.endsWith('/')) return no('ends in a slash', 'take the slash at the end out')
  if (/\/(\/|\.\.?(\/|$))/.test(path))
    return no('has an empty or dotted segment', 'write the path out')
  return no(
    'is not a SPIFFE ID',
    'its path may have letters, digits, `.`, `-` and `_` between slashes, and 2048 characters in all',
  )
}

/** With `{claim}` in its path, whose name may have a `/` in it. */
const spiffeIdTemplate: Format = (text) => {
  const filled = text.replaceAll(/\{[^{}]+\}/g, 'x')
  if (/[{}]/.test(filled))
    return no('has a brace that belongs to no `{claim}`', 'write `{NAME}` with a name in it')
  if (/^spiffe:\/\/[^/]*\{/i.test(text))
    return no('takes its trust domain from a claim', 'name the trust domain')
  if (/\{[^/]*\{/.test(text.replaceAll(/\{[^{}]+\}/g, '{')))
    return no(
      'has two claims in one segment, so two callers could get one ID',
      'put a slash between them',
    )
  const complaint = spiffeId(filled)
  if (complaint !== undefined) return complaint
  return /^spiffe:\/\/[^/]+\/./.test(filled)
    ? undefined
    : no('is the ID of a whole trust domain', 'add a path')
}

/** With `*` for any one segment, and `**` at the end for any number of them. */
const spiffeIdPattern: Format = (text) => {
  const [, domain = '', path = ''] = /^spiffe:\/\/([^/]*)(.*)$/s.exec(text) ?? []
  if (domain.includes('*')) return no('is for any trust domain', 'name the trust domain')
  const segments = path.split('/').slice(1)
  if (segments.slice(0, -1).includes('**'))
    return no('has a `**` that is not its last segment', 'use `*` for one segment')
  if (segments.some((segment) => segment.includes('*') && !/^\*{1,2}$/.test(segment)))
    return no('has a `*` that is only part of a segment', 'use `*` for a whole segment')
  const filled = `spiffe://${domain}${path.replaceAll('*', 'x')}`
  if (!text.startsWith('spiffe://')) return spiffeId(text)
  return spiffeId(filled) ?? (segments.length > 0 ? undefined : no('has no path', 'add `/**`'))
}

/** With `{name}` for whole segments of its path. */
const namedPattern: Format = (text) => {
  const names = [...text.matchAll(/\{([^{}]*)\}/g)].map(([, name = '']) => name)
  const bad = names.find((name) => !/^[a-z][a-z0-9_]*$/.test(name))
  if (bad !== undefined)
    return no('has a name that is none', 'use lower-case letters, digits and `_`, such as `{job}`')
  if (new Set(names).size < names.length) return no('has one name twice', 'name each segment anew')
  if (/[^/]\{|\}[^/]/.test(text))
    return no('has a `{name}` that is only part of a segment', 'use it for a whole segment')
  return spiffeIdTemplate(text)
}

const urlOf = (text: string): URL | undefined => {
  // What `URL` repairs silently is more often a slip than meant.
  if (/[\s\\]/.test(text)) return undefined
  return URL.parse(text) ?? undefined
}

const url: Format = (text) => {
  const parsed = urlOf(text)
  if (parsed === undefined) return no('is not a URL', 'write `https://HOST/PATH`')
  if (parsed.protocol !== 'https:' && parsed.protocol !== 'http:')
    return no('is not an HTTP URL', 'write `https://HOST/PATH`')
  if (parsed.username !== '' || parsed.password !== '')
    return no('has a name or password in it', 'take it out')
  return text.includes('#') ? no('has a fragment', 'take out what follows `#`') : undefined
}

const httpsUrl: Format = (text) =>
  url(text) ?? (/^https:/i.test(text) ? undefined : no('is not https', 'write `https://`'))

const httpsOrigin: Format = (text) => {
  const complaint = httpsUrl(text)
  if (complaint !== undefined) return complaint
  return /^https:\/\/[^/?]+\/?$/i.test(text)
    ? undefined
    : no('has more than host and port', 'write `https://HOST:PORT`')
}

const label = '[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?'
const hostName = new RegExp(`^${label}(\\.${label})*$`)

const explainHost = (text: string): Complaint | undefined => {
  if (text.startsWith('[') ? isIP(text.slice(1, -1)) === 6 && text.endsWith(']') : isIP(text) === 4)
    return undefined
  if (isIP(text) === 6) return no('is a bare IPv6 address', 'write it in brackets: "[::1]"')
  if (/[A-Z]/.test(text)) return no('has capitals', 'write it in lower case')
  if (text.includes('://')) return no('is a URL', 'name the host alone')
  if (/:\d+$/.test(text)) return no('has a port', 'take the port out')
  if (text.endsWith('.')) return no('ends in a dot', 'take the dot at the end out')
  if (text.length <= 253 && hostName.test(text)) return undefined
  return no('is not a host', 'name a DNS name or an address')
}

const host: Format = (text) => explainHost(text.replace(/:\d{1,5}$/, ''))

const hostPattern: Format = (text) => {
  if (!text.includes('*')) return explainHost(text)
  const rest = text.slice(2)
  if (!text.startsWith('*.') || rest.includes('*'))
    return no('has a `*` that is not its whole first label', 'write `*.example.com`')
  if (isIP(rest) !== 0) return no('is a wildcard of an address', 'name the address')
  return explainHost(rest)
}

/** An origin as browsers write it (RFC 6454 §6.2), with `*` for a first label of its host, or alone. */
const originPattern: Format = (text) => {
  if (text === '*') return undefined
  const [, rest = ''] = /^https?:\/\/(.*)$/s.exec(text) ?? []
  if (rest === '') return no('is not an origin', 'write `https://HOST` or `https://HOST:PORT`')
  if (/[/?#@]/.test(rest))
    return no(
      'has more than host and port',
      'write it as browsers do: no path, no slash at the end',
    )
  if (/^https:.*:443$|^http:[^s].*:80$/.test(text))
    return no('names the port that it has anyway', 'take the port out, as browsers do')
  const port = /:(\d*)$/.exec(rest.replace(/^\[.*\]/, ''))?.[1]
  if (port !== undefined && !/^[1-9]\d{0,4}$/.test(port))
    return no('has a port that is none', 'use 1 to 65535')
  return hostPattern(rest.replace(/:\d*$/, ''))
}

const address: Format = (text) =>
  isIP(text) !== 0 || text === 'localhost'
    ? undefined
    : no(
        'is not an address to listen on',
        'write an IP address, such as 127.0.0.1, 0.0.0.0 or `::`',
      )

const cidr: Format = (text) => {
  const [, base = '', bits = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? []
  const version = isIP(base)
  if (version === 0) return no('is not a network', 'write `ADDRESS/BITS`, such as 10.0.0.0/8')
  const most = version === 4 ? 32 : 128
  return Number(bits) <= most ? undefined : no('has too long a prefix', `use up to /${most}`)
}

const ipAddress: Format = (text) =>
  addressBytes(text) === undefined
    ? no('is not an address', 'write an IP address in its usual form, such as 10.0.0.1 or fd00::1')
    : undefined

const addressAndPort: Format = (text) => {
  if (ipAddress(text) === undefined) return undefined
  const [, bracketed, plain] = /^(?:\[([^\]]+)\]|([^:]+)):[1-9]\d{0,4}$/.exec(text) ?? []
  const address = bracketed ?? plain
  return address !== undefined && ipAddress(address) === undefined
    ? undefined
    : no('is not the address of a resolver', 'write `ADDRESS` or `ADDRESS:PORT`, IPv6 in brackets')
}

const hostAndPort: Format = (text) => {
  const [, name, port] = /^(.+):([1-9]\d{0,4})$/s.exec(text) ?? []
  if (name === undefined || Number(port) > 65_535)
    return no('does not name a port', 'write `HOST:PORT`')
  return explainHost(name)
}

const egressHost: Format = (text) => {
  const fault = faultOfHostPattern(text)
  if (fault === undefined) return undefined
  const [message = '', remedy] = fault.split('; ')
  return no(message, remedy ?? 'name a host such as api.example.com, or `*.example.com`')
}

/** Every `format` that the schemas use. */
export const formats = {
  file,
  'trust-domain': trustDomain,
  'spiffe-id': spiffeId,
  'spiffe-id-template': spiffeIdTemplate,
  'spiffe-id-pattern': spiffeIdPattern,
  'spiffe-id-pattern-named': namedPattern,
  url,
  'https-url': httpsUrl,
  'https-origin': httpsOrigin,
  host,
  'host-pattern': hostPattern,
  'origin-pattern': originPattern,
  address,
  cidr,
  'ip-address': ipAddress,
  'address-and-port': addressAndPort,
  'host-and-port': hostAndPort,
  'egress-host': egressHost,
  'route-path': explainPath('exact'),
  'route-prefix': explainPath('prefix'),
  'route-pattern': explainPath('pattern'),
} as const satisfies Record<string, Format>

export const findFormat = (name: string): Format | undefined =>
  Object.hasOwn(formats, name) ? formats[name as keyof typeof formats] : undefined
