import type { UpstreamClient, UpstreamStats } from '#http/upstream-client'
import type { Svid } from '#identity/svid/svid'
import type { UpgradingClient } from './undici-client.ts'

/** An endpoint as it is configured, and which of its addresses is meant, where its name has several. */
export type Place = { readonly endpoint: string; readonly address?: string }

/** How clients of one place are made. */
export type MakeClients = {
  readonly forRequests: (place: Place, svid: Svid) => UpstreamClient
  /** HTTP/1.1, whatever is spoken otherwise: an upgrade is made in that. */
  readonly forUpgrades: (place: Place, svid: Svid) => UpgradingClient
}

/** Clients of one place, for as long as the own SVID is the same. */
export type Clients = {
  readonly requests: UpstreamClient
  /** Made when it is first asked for. */
  readonly upgrades: () => UpgradingClient
  /** When the SVID ends with which the connections were made. */
  readonly svidEndsAtMs: number
  readonly close: () => Promise<void>
}

export const clientsOf = (place: Place, svid: Svid, make: MakeClients): Clients => {
  const requests = make.forRequests(place, svid)
  let upgrades: UpgradingClient | undefined
  return {
    requests,
    upgrades: () => (upgrades ??= make.forUpgrades(place, svid)),
    svidEndsAtMs: svid.notAfterMs,
    close: async () => {
      await Promise.all([requests.close(), upgrades?.close()])
    },
  }
}

/** Where requests may go, and how it has been doing. Changed by the files of this folder alone. */
export type Target = {
  readonly place: Place
  /** For records and operators. */
  readonly name: string
  /** Its share; an endpoint's is split between its addresses. */
  weight: number
  clients: Clients
  inFlight: number
  /** What the health check says; true where there is none. */
  isHealthy: boolean
  /** Failed one after the other. */
  failures: number
  /** Put aside for its failures until then; 0: never. */
  ejectedUntilMs: number
  /** One after the other; each is longer than the one before. */
  ejections: number
}

export const nameOf = ({ endpoint, address }: Place): string =>
  address === undefined ? endpoint : `${endpoint} (${address})`

export const newTarget = (place: Place, weight: number, clients: Clients): Target => ({
  place,
  name: nameOf(place),
  weight,
  clients,
  inFlight: 0,
  isHealthy: true,
  failures: 0,
  ejectedUntilMs: 0,
  ejections: 0,
})

export type TargetState = 'available' | 'ejected' | 'unhealthy'

export const stateOf = ({ isHealthy, ejectedUntilMs }: Target, nowMs: number): TargetState => {
  if (!isHealthy) return 'unhealthy'
  return nowMs < ejectedUntilMs ? 'ejected' : 'available'
}

export type TargetStatus = UpstreamStats & {
  readonly state: TargetState
  readonly weight: number
}

export const statusOf = (target: Target, nowMs: number): TargetStatus => ({
  ...target.clients.requests.stats(),
  state: stateOf(target, nowMs),
  weight: target.weight,
})
