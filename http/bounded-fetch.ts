import { lookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import type { PeerCertificate } from 'node:tls'
import { Agent, request } from 'undici'
import { causeText } from '#contract/cause'

/** How one kind of question is asked. Everything that is received or waited for has a bound. */
export type BoundedFetchOptions = {
  /** PEM. By default the public roots that Node brings along. */
  readonly ca?: string | string[] | undefined
  /** PEM: the certificate to come with, leaf first, and its key. */
  readonly client?: { readonly certificateChain: string; readonly privateKey: string } | undefined
  /** Instead of the check of the host name. Sessions are never resumed, so it is asked on every connection. */
  readonly checkServerIdentity?:
    | ((host: string, certificate: PeerCertificate) => Error | undefined)
    | undefined
  /** Anyone on the way can then read and change what is fetched. */
  readonly allowPlainHttp?: boolean
  /** For everything: name, connection, request, whole answer. By default 5 s. */
  readonly timeoutMs?: number
  /** Of the answer's body. By default 512 KiB. */
  readonly maxBodyBytes?: number
}

export type FetchQuestion = {
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** An answer, whatever its status: 3xx is an answer like any other, a redirect is never followed. */
export type FetchAnswer = {
  readonly ok: true
  readonly status: number
  readonly body: Buffer
  /** `Content-Type`, if it came once. */
  readonly contentType: string | undefined
}

export type NoFetchAnswer = {
  readonly ok: false
  readonly why: 'url-refused' | 'unreachable' | 'timeout' | 'too-large'
  /** For operators. */
  readonly fault: string
}

export type BoundedFetch = {
  /** Never rejects for what the other side does. */
  readonly ask: (url: string, question?: FetchQuestion) => Promise<FetchAnswer | NoFetchAnswer>
  /** Breaks off what is under way. */
  readonly close: () => void
}

const defaultTimeoutMs = 5000
const defaultMaxBodyBytes = 524_288
const maxHeaderBytes = 16_384

/**
 * Asks single small questions of servers that the configuration names: an issuer's keys, the exchange.
 *
 * It has a dispatcher of its own, so no proxy of the process's environment and no global setting of undici stands
 * between us and them; `https:` only unless allowed; no redirects; and no link-local or metadata address is dialled,
 * whatever a name resolves to, for the address of a key set comes from a document that was itself fetched.
 */
export const boundedFetch = (options: BoundedFetchOptions = {}): BoundedFetch => {
  const {
    timeoutMs = defaultTimeoutMs,
    maxBodyBytes = defaultMaxBodyBytes,
    allowPlainHttp = false,
    client,
  } = options
  const agent = new Agent({
    allowH2: false,
    pipelining: 1,
    keepAliveTimeout: 1000,
    keepAliveMaxTimeout: 1000,
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connect: {
      timeout: timeoutMs,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
      maxCachedSessions: 0, // a resumed session would skip checkServerIdentity
      lookup: lookupDialable,
      ...(options.ca === undefined ? {} : { ca: options.ca }),
      ...(client ? { cert: client.certificateChain, key: client.privateKey } : {}),
      ...(options.checkServerIdentity ? { checkServerIdentity: options.checkServerIdentity } : {}),
    },
  })
  return {
    ask: async (url, question = {}) => {
      const target = dialableUrl(url, allowPlainHttp)
      if (typeof target === 'string') return noAnswer('url-refused', target)
      const stop = new AbortController()
      let why: NoFetchAnswer['why'] = 'unreachable'
      const giveUp = (reason: NoFetchAnswer['why']) => {
        why = reason
        stop.abort()
      }
      const timer = setTimeout(() => giveUp('timeout'), timeoutMs)
      try {
        const { statusCode, headers, body } = await request(target, {
          dispatcher: agent,
          method: question.method ?? 'GET',
          headers: { ...question.headers, 'accept-encoding': 'identity' },
          body: question.body ?? null,
          signal: stop.signal,
        })
        const chunks: Buffer[] = []
        let bytes = 0
        for await (const chunk of body as AsyncIterable<Buffer>) {
          bytes += chunk.length
          if (bytes > maxBodyBytes) giveUp('too-large')
          else chunks.push(chunk)
        }
        const type = headers['content-type']
        return {
          ok: true,
          status: statusCode,
          body: Buffer.concat(chunks),
          contentType: typeof type === 'string' ? type : undefined,
        }
      } catch (cause) {
        if (!isFromOutside(cause)) throw cause
        return noAnswer(why, faultOf(why, cause, { timeoutMs, maxBodyBytes }))
      } finally {
        clearTimeout(timer)
      }
    },
    close: () => void agent.destroy(),
  }
}

/** Whether `url` may be asked at all; the reason as text if not. */
const dialableUrl = (url: string, allowPlainHttp: boolean): URL | string => {
  if (!URL.canParse(url)) return 'it is not a URL'
  const parsed = new URL(url)
  if (parsed.protocol !== 'https:' && !(allowPlainHttp && parsed.protocol === 'http:'))
    return 'it is not an https URL'
  if (parsed.username !== '' || parsed.password !== '') return 'it has a user name in it'
  // Node asks no resolver about an address, so those are judged here, the rest by `lookupDialable`.
  const address = parsed.hostname.replace(/^\[|\]$/g, '')
  return isNeverDialled(address) ? `${address} is never dialled` : parsed
}

const lookupDialable: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, options, (error, address, family) => {
    if (error) return callback(error, address, family)
    const all = typeof address === 'string' ? [address] : address.map((entry) => entry.address)
    const refused = all.find(isNeverDialled)
    if (refused === undefined) return callback(null, address, family)
    const fault = new Error(`${hostname} resolves to ${refused}, which is never dialled`)
    callback(Object.assign(fault, { code: 'ERR_ADDRESS_REFUSED' }), '')
  })
}

/** Where no issuer and no exchange lives, but where clouds hand out credentials to whoever asks. */
const neverDialled = new BlockList()
neverDialled.addSubnet('0.0.0.0', 8)
neverDialled.addSubnet('169.254.0.0', 16) // RFC 3927; metadata of AWS, GCP, Azure
neverDialled.addAddress('100.100.100.200') // metadata of Alibaba Cloud
neverDialled.addAddress('168.63.129.16') // wire server of Azure
neverDialled.addSubnet('224.0.0.0', 3) // multicast, reserved, broadcast
neverDialled.addAddress('::', 'ipv6')
neverDialled.addSubnet('fe80::', 10, 'ipv6')
neverDialled.addSubnet('ff00::', 8, 'ipv6')
neverDialled.addAddress('fd00:ec2::254', 'ipv6') // metadata of AWS
neverDialled.addAddress('fd20:ce::254', 'ipv6') // metadata of GCP

const isNeverDialled = (address: string): boolean => {
  const family = isIP(address)
  return family !== 0 && neverDialled.check(address, family === 6 ? 'ipv6' : 'ipv4')
}

/** Node and undici give a code to what the network or the other side did; a mistake of ours has none, or this one. */
const isFromOutside = (cause: unknown): boolean => {
  if (!(cause instanceof Error)) return false
  if (cause.name === 'AbortError') return true
  const { code } = cause as NodeJS.ErrnoException
  return typeof code === 'string' && code !== 'UND_ERR_INVALID_ARG'
}

const faultOf = (
  why: NoFetchAnswer['why'],
  cause: unknown,
  { timeoutMs, maxBodyBytes }: { readonly timeoutMs: number; readonly maxBodyBytes: number },
): string => {
  switch (why) {
    case 'timeout':
      return `no whole answer within ${timeoutMs} ms`
    case 'too-large':
      return `the answer is larger than ${maxBodyBytes} bytes`
    case 'unreachable':
    case 'url-refused':
      return causeText(cause)
    default:
      return why satisfies never
  }
}

const noAnswer = (why: NoFetchAnswer['why'], fault: string): NoFetchAnswer => ({
  ok: false,
  why,
  fault,
})
