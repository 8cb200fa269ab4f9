import type { TurnedAwayReason } from '#http/doors'
import { defaultHttp2Limits, type Http2Limits } from '#http/h2-server/limits'
import type { ServerCertificate } from '#http/certificates'
import { plainListener, type Listener } from '#http/listen'
import type { ListeningAt } from '#http/listen-on'
import type { Log, Meter } from '#contract/telemetry'
import type { ExchangeConfig } from '#config/schema'
import type { PeerOf } from './peer.ts'
import { recordAbused, recordTurnedDown, type RecordParts } from './record.ts'

const maxConcurrentStreams = 256

/** The many questions of one gateway share a connection. */
const ofGateways: Http2Limits = {
  ...defaultHttp2Limits,
  maxConcurrentStreams,
  // It cancels all that it has asked when it waits in vain, and then asks again.
  resetBurst: 2 * maxConcurrentStreams,
  resetsPerSecond: maxConcurrentStreams,
  // All that may ask at once has room for a form, without waiting for us to have read the others'.
  receiveWindowBytes: 1_048_576,
  idleTimeoutMs: 120_000, // longer than gateways keep one, so that none is ended just as it is used
}

type Figures = { readonly meter: Meter; readonly log: Log }

/**
 * Where gateways and callers come in. Clients are asked for a certificate and get in without one too: each route says
 * whom it is for. Who proves to be of the mesh may speak HTTP/2, as gateways do.
 */
export const exchangeListener = (
  { limits }: ExchangeConfig['listeners']['exchange'],
  certificate: ServerCertificate,
  rootsPem: string,
  record: RecordParts,
  peerOf: PeerOf,
  { meter, log }: Figures,
): Listener =>
  plainListener({
    tls: {
      certificates: [certificate],
      profile: 'intermediate',
      clientCertificates: clientRoots(rootsPem),
    },
    limits,
    gate: {
      methods: ['GET', 'POST'],
      maxHeaderPairs: limits.maxHeaderPairs,
      maxTargetBytes: limits.maxTargetBytes,
    },
    turnedAway: countTurnedAway(meter, 'exchange'),
    refused: (req, problem) => recordTurnedDown(req, problem, record),
    http2: {
      limits: ofGateways,
      isFor: (socket) => peerOf(socket, record.clock()).kind === 'proven',
      abused: (peer, cause) => recordAbused(peer, cause, record),
    },
    log,
  })

/** For operators, over plain HTTP: it is on loopback unless configured otherwise. */
export const adminListener = ({ meter, log }: Figures): Listener =>
  plainListener({
    gate: { methods: ['GET', 'POST'] },
    turnedAway: countTurnedAway(meter, 'admin'),
    log,
  })

/** Whose certificates are believed: those of every root that is published. */
export const clientRoots = (rootsPem: string) => ({
  roots: [rootsPem],
  mode: 'request' as const,
})

export const urlOf = (scheme: 'http' | 'https', { host, port }: ListeningAt): string => {
  // What listens on every address is reached by loopback from here.
  const reached = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `${scheme}://${reached.includes(':') ? `[${reached}]` : reached}:${port}`
}

const countTurnedAway =
  (meter: Meter, direction: 'exchange' | 'admin') => (reason: TurnedAwayReason) =>
    meter.counter('sallyport_turned_away_total', { direction, reason })()
