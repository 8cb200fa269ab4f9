import { pass, refuse, type Refusal, type Result } from '#contract/problem'
import type { RequestHead } from '#contract/request-head'
import type { Step } from '#contract/step'
import type { RawHead } from '#http/raw-gate'
import { hasWebSocketKey } from '../web-socket.ts'
import { isSamePlace, parseAuthority, type Authority } from './authority.ts'
import type { EgressReceived } from './received.ts'

/** What a workload asks for, and the one place it named. */
export type Ask =
  | { readonly kind: 'tunnel'; readonly authority: Authority }
  | {
      readonly kind: 'request'
      readonly scheme: 'http' | 'https'
      /** It came within TLS that ended here. */
      readonly isInspected?: true
      readonly authority: Authority
      readonly head: RequestHead
    }

export type AskOptions = {
  readonly gate: (raw: RawHead, early?: Buffer) => Result<RequestHead>
  /** Our name in Via: what bears it has been here before. */
  readonly viaName: string
}

const defaultPorts = { http: 80, https: 443 } as const
const maxTargetChars = 8192

/**
 * Reads what is asked for: CONNECT with `host:port`, or a request with an absolute `http` or `https` URL. Where a Host header
 * stands beside that it must say the same.
 *
 * @returns A step refusing with `authority-invalid`, `authority-mismatch`, `upgrade-refused`, `request-malformed` or with
 *   what the gate refuses with.
 * @see RFC 9110 §9.3.6, RFC 9112 §3.2
 */
export const readAsk =
  ({ gate, viaName }: AskOptions): Step<Pick<EgressReceived, 'door' | 'raw' | 'early'>, Ask> =>
  ({ door, raw, early }) => {
    if (hasBeenHere(raw, viaName)) return circle
    switch (door) {
      case 'connect':
        return readTunnel(raw)
      case 'request':
        return readRequest(raw, gate)
      case 'upgrade':
        return readUpgrade(raw, (plain) => gate(plain, early))
      default:
        return door satisfies never
    }
  }

const readTunnel = (raw: RawHead): Result<Ask> => {
  const { url = '', httpVersion } = raw
  // Older clients, Python's before 3.12 among them, ask for tunnels in HTTP/1.0 and without a Host.
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return notServed(httpVersion)
  const authority = parseAuthority(url)
  if (!authority.ok) return authority
  const hosts = valuesOf(raw, 'host')
  if (hosts.length > 1) return refuse('host-invalid', { detail: 'There is more than one Host.' })
  if (hosts[0] !== undefined) {
    const host = parseAuthority(hosts[0], authority.value.port)
    if (!host.ok || !isSamePlace(host.value, authority.value)) return mismatch
  }
  for (const name of ['content-length', 'transfer-encoding', 'upgrade'])
    if (valuesOf(raw, name).some((value) => value !== '0'))
      return refuse('request-malformed', { detail: `CONNECT has no ${name}.` })
  return pass({ kind: 'tunnel', authority: authority.value })
}

const readUpgrade = (raw: RawHead, gate: AskOptions['gate']): Result<Ask> => {
  const ask = readRequest(raw, gate)
  if (!ask.ok || ask.value.kind !== 'request') return ask
  return hasWebSocketKey(ask.value.head) ? ask : noKey
}

const absoluteForm = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^#]*)$/i

const readRequest = (raw: RawHead, gate: AskOptions['gate']): Result<Ask> => {
  const { url = '' } = raw
  if (url.length > maxTargetChars) return refuse('target-too-long')
  const [, given, place = '', rest = ''] = absoluteForm.exec(url) ?? []
  if (given === undefined) return notAbsolute
  const scheme = given.toLowerCase()
  if (scheme !== 'http' && scheme !== 'https') return noOtherScheme
  const usualPort = defaultPorts[scheme]
  const authority = parseAuthority(place, usualPort)
  if (!authority.ok) return authority
  const head = gate({ ...pick(raw), url: rest.startsWith('/') ? rest : `/${rest}` })
  if (!head.ok) return head
  const { host, port = usualPort } = head.value
  const bare = host.startsWith('[') ? host.slice(1, -1) : host
  if (bare !== authority.value.host || port !== authority.value.port) return mismatch
  return pass({ kind: 'request', scheme, authority: authority.value, head: head.value })
}

const pick = ({ method, httpVersion, rawHeaders }: RawHead) => ({ method, httpVersion, rawHeaders })

const valuesOf = ({ rawHeaders }: RawHead, name: string): readonly string[] => {
  const values: string[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2)
    if (rawHeaders[i]?.toLowerCase() === name) values.push(rawHeaders[i + 1] ?? '')
  return values
}

export const hasBeenHere = (raw: RawHead, viaName: string): boolean =>
  valuesOf(raw, 'via').some((value) => value.toLowerCase().includes(viaName.toLowerCase()))

export const circle = refuse('request-malformed', {
  detail: 'This request has been here before.',
  headers: { 'Proxy-Status': 'sallyport; error=proxy_loop_detected' },
})
const mismatch = refuse('authority-mismatch', {
  detail: 'The Host header and the target of the request are not the same place.',
})
const noKey = refuse('upgrade-refused', { detail: 'Sec-WebSocket-Key is missing or not 16 bytes.' })
const notAbsolute = refuse('authority-invalid', {
  detail:
    'This is a proxy: ask with CONNECT host:port, or with an absolute http:// or https:// URL.',
})
const noOtherScheme = refuse('authority-invalid', {
  detail:
    'Only http:// and https:// URLs are taken as they are; ask for a tunnel with CONNECT for others.',
})
const notServed = (version: string): Refusal =>
  refuse('request-malformed', { detail: `HTTP/${version} is not served here.` })
