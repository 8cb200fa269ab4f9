import type { Socket } from 'node:net'
import type { Log, Meter } from '#contract/telemetry'
import type { EgressListener } from '#config/schema'
import { defaultLimits } from '#http/server'
import type { Taking } from '../taking.ts'
import { innerServer } from './inner-server.ts'
import { inspectTunnel } from './inspect-tunnel.ts'
import { takeInspected } from './take-inspected.ts'
import type { InspectedTunnel } from './tunnel.ts'

/**
 * All that tunnels need that are looked into: one server for what comes through them, which knows of each connection which
 * tunnel it is.
 *
 * @param listener Within a tunnel its limits are the same.
 */
export const inspection = (
  taking: Taking,
  { limits, http2 }: Pick<EgressListener, 'limits' | 'http2'>,
  { meter, log }: { readonly meter: Meter; readonly log: Log },
) => {
  const tunnels = new WeakMap<Socket, InspectedTunnel>()
  const tunnelOf = (socket: Socket): InspectedTunnel => {
    const tunnel = tunnels.get(socket)
    if (!tunnel) throw new Error('a connection that no tunnel is known of')
    return tunnel
  }
  const server = innerServer({
    limits: { ...defaultLimits, ...limits },
    http2: http2.offered ? http2 : undefined,
    doors: {
      ...takeInspected(taking, tunnelOf),
      turnedAway: (reason) =>
        meter.counter('sallyport_turned_away_total', { direction: 'egress', reason })(),
    },
    log,
  })
  return {
    inspectTunnel: inspectTunnel({
      server,
      note: (socket, tunnel) => void tunnels.set(socket, tunnel),
      enter: taking.enter,
      alpn: http2.offered ? ['h2', 'http/1.1'] : ['http/1.1'],
    }),
    drain: server.drain,
    close: server.close,
  }
}
