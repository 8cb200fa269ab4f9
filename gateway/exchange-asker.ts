import type { Clock } from '#contract/clock'
import type { SpiffeId } from '#contract/spiffe-id'
import type { Meter } from '#contract/telemetry'
import type { MintRequest } from '#contract/token-exchange'
import type { GatewayConfig } from '#config/schema'
import type { UpstreamClient } from '#http/upstream-client'
import { clockAhead } from '#identity/jwt/clock-ahead'
import type { OwnSvid } from '#identity/svid/svid'
import { exchangeClient } from './exchange-client.ts'
import { h2Upstream } from './upstream/h2-upstream.ts'

/** So many connections at most are made to it. */
const exchangeConnections = 4

export type ExchangeAskerParts = {
  readonly ownSvid: OwnSvid
  readonly clock: Clock
  readonly meter: Meter
}

/**
 * Asks the exchange over HTTP/2: what is asked in one turn of the event loop leaves in one request. Its connections end
 * with the SVID they were made with.
 */
export const exchangeAsker = (
  { exchange: { url, spiffeId, timeoutMs } }: GatewayConfig,
  { ownSvid, clock, meter }: ExchangeAskerParts,
) => {
  const clockOfExchange = clockAhead('(exchange)', meter)
  const make = (): UpstreamClient =>
    h2Upstream({
      endpoint: url,
      expected: spiffeId as SpiffeId,
      svid: ownSvid.current(),
      maxConnections: exchangeConnections,
      connectTimeoutMs: timeoutMs,
    })
  let client = make()
  const stopFollowing = ownSvid.onChange(() => {
    void client.close()
    client = make()
  })
  const ask = exchangeClient({ client: () => client, authority: new URL(url).host, timeoutMs })
  return {
    ask: async (request: MintRequest) => {
      const minted = await ask(request)
      if (minted.ok) clockOfExchange.made(minted.value.issuedAtMs / 1000, clock())
      return minted
    },
    clockAheadSeconds: clockOfExchange.seconds,
    close: () => {
      stopFollowing()
      return client.close()
    },
  }
}
