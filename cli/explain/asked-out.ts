import type { SpiffeId } from '#contract/spiffe-id'
import type { EgressReceived } from '#gateway/egress/received'
import { canonicalAddress } from '#http/networks'
import { noBody } from '#http/body'

/** What somebody wants to have explained. */
export type AskedOut = {
  readonly workload: SpiffeId
  readonly method: string
  /** `HOST:PORT`, or a URL of http or https. */
  readonly destination: string
  /** The proxy is asked for an https URL itself, instead of for a tunnel. */
  readonly absoluteForm: boolean
  readonly headers: readonly (readonly [string, string])[]
  /** What the name shall lead to; the DNS is asked, if there is none. */
  readonly addresses: readonly string[]
  /** Of the workload. */
  readonly from: string
  readonly nowMs: number
}

/** A request line and what stands below it. */
export type Line = {
  readonly door: 'request' | 'connect'
  readonly method: string
  readonly url: string
  readonly host: string
  readonly headers: AskedOut['headers']
}

/** What the proxy sees of it: one request, or a CONNECT and what comes through the tunnel. */
export type Lines = { readonly outer: Line; readonly inner?: Line }

const httpsPort = 443

/**
 * Says it as a client would that has a proxy: `http` URLs as they are, `https` ones within a tunnel. `new URL` would repair
 * what is for the way to judge.
 */
export const linesOf = ({ destination, method, absoluteForm, headers }: AskedOut): Lines => {
  const [, scheme, place = '', rest = ''] = /^(https?):\/\/([^/?#]*)(.*)$/is.exec(destination) ?? []
  if (scheme === undefined) return { outer: tunnelTo(destination, headers) }
  if (absoluteForm || scheme.toLowerCase() === 'http')
    return { outer: { door: 'request', method, url: destination, host: place, headers } }
  const url = rest.startsWith('/') ? rest : `/${rest}`
  return {
    outer: tunnelTo(/:\d+$/.test(place) ? place : `${place}:${httpsPort}`, []),
    inner: { door: 'request', method, url, host: place, headers },
  }
}

const tunnelTo = (place: string, headers: AskedOut['headers']): Line => ({
  door: 'connect',
  method: 'CONNECT',
  url: place,
  host: place,
  headers,
})

/** As a listener would have received it, from a workload that shows its certificate. */
export const receivedOut = (
  { workload, from, nowMs }: AskedOut,
  { door, method, url, host, headers }: Line,
): EgressReceived => {
  const namesHost = headers.some(([name]) => name.toLowerCase() === 'host')
  return {
    door,
    raw: {
      method,
      url,
      httpVersion: '1.1',
      rawHeaders: [...(namesHost ? [] : ['Host', host]), ...headers.flat()],
    },
    peer: { address: canonicalAddress(from), port: 0, tlsVersion: 'TLSv1.3', serverName: '' },
    certificate: { kind: 'svid', spiffeId: workload, notAfterMs: Infinity, sha256: '' },
    nowMs,
    decisionId: 'explained',
    body: noBody,
    gone: new AbortController().signal,
  }
}
