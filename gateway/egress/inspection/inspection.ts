import type { Socket } from 'node:net'
import type { Log, Meter } from '#contract/telemetry'
import { defaultLimits, type ListenerLimits } from '#http/server'
import type { Taking } from '../taking.ts'
import { innerServer } from './inner-server.ts'
import { inspectTunnel } from './inspect-tunnel.ts'
import { takeInspected } from './take-inspected.ts'
import type { InspectedTunnel } from './tunnel.ts'

/**
 * All that tunnels need that are looked into: one server for what comes through them, which knows of each connection which
 * tunnel it is.
 *
 * @param limits Of the listener: within a tunnel they are the same.
 */
export const inspection = (
  taking: Taking,
  limits: Partial<ListenerLimits>,
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
    }),
    drain: server.drain,
    close: server.close,
  }
}
