import { pass, refuse, type Result } from '#contract/problem'
import type { RequestHead } from '#contract/request-head'
import type { Step } from '#contract/step'
import type { RawHead } from '#http/raw-gate'
import { circle, hasBeenHere, type Ask } from '../read-ask.ts'
import type { InspectedReceived } from './tunnel.ts'

export type ReadRequestOptions = {
  readonly inspectedGate: (raw: RawHead, early?: Buffer) => Result<RequestHead>
  readonly viaName: string
}

const httpsPort = 443

/**
 * Reads a request within an inspected tunnel. Its Host, or `:authority`, must be what CONNECT named, which the ClientHello
 * has named too: a destination of many hosts must not be had to serve another one.
 *
 * @returns A step refusing with `host-misdirected` or with what the gate refuses with.
 * @see RFC 9110 §7.4, RFC 9113 §9.1.1 and §9.1.2
 */
export const readRequest =
  ({
    inspectedGate,
    viaName,
  }: ReadRequestOptions): Step<Pick<InspectedReceived, 'raw' | 'early' | 'tunnel'>, Ask> =>
  ({ raw, early, tunnel: { authority } }) => {
    if (hasBeenHere(raw, viaName)) return circle
    const head = inspectedGate(raw, early)
    if (!head.ok) return head
    const { host, port = httpsPort } = head.value
    if (host !== authority.host || port !== authority.port) return misdirected
    return pass({
      kind: 'request',
      scheme: 'https',
      isInspected: true,
      authority,
      head: head.value,
    })
  }

const misdirected = refuse('host-misdirected', {
  detail: 'The request is for another host than the tunnel that it came through.',
})
