import type { IncomingHttpHeaders } from 'node:http'
import type { Problem } from '#contract/problem'
import { isOwnHost } from './own-host.ts'

/**
 * Why an operator's request must not be looked at: it is for another host (DNS rebinding), or a page of elsewhere sent it.
 * A listener on loopback can be reached by every browser of the machine.
 *
 * @param configured The host that the listener was told to listen on.
 */
export const objectionToPage = (
  headers: IncomingHttpHeaders,
  configured: string,
): Problem | undefined => {
  if (!isOwnHost(headers.host, configured)) return { tag: 'host-misdirected' }
  const site = headers['sec-fetch-site']
  const { origin } = headers
  const isOwnPage =
    site === undefined
      ? origin === undefined || origin === `http://${headers.host}`
      : site === 'same-origin' || site === 'none'
  return isOwnPage
    ? undefined
    : { tag: 'client-not-allowed', detail: 'Pages of other sites may not ask here.' }
}
