import { Pool } from 'undici'
import type { SpiffeId } from '#contract/spiffe-id'
import type { OwnSvid } from '#identity/svid/svid'
import { mutualTlsConnector } from './mutual-tls-connector.ts'

/** Few connections, for operators who look at the exchange through the gateway. */
export const exchangePool = (options: {
  readonly url: string
  readonly expected: SpiffeId
  readonly ownSvid: OwnSvid
  readonly timeoutMs: number
}): Pool =>
  new Pool(options.url, {
    connections: 2,
    pipelining: 1,
    allowH2: false,
    headersTimeout: options.timeoutMs,
    bodyTimeout: options.timeoutMs,
    keepAliveTimeout: 5000,
    keepAliveMaxTimeout: 5000, // a renewed SVID takes over soon
    connect: mutualTlsConnector(options.url, () => ({
      expected: options.expected,
      svid: options.ownSvid.current(),
      connectTimeoutMs: options.timeoutMs,
    })),
  })
