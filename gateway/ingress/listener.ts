import type { IngressListener } from '#config/schema'
import type { Clock } from '#contract/clock'
import type { LabelsOf, Log, Meter } from '#contract/telemetry'
import { checkCertificate, readCertificateFiles, type ServerCertificate } from '#http/certificates'
import { edgeListener, type Listener } from '#http/listen'
import type { Taken } from './take-requests.ts'

export type IngressListening = {
  readonly config: IngressListener
  readonly certificates: readonly ServerCertificate[]
  readonly take: Taken
  /** Whether this gateway serves now, for load balancers that ask on the same port. */
  readonly isReady: () => boolean
  readonly meter: Meter
  readonly log: Log
}

type TurnedAway = LabelsOf<'sallyport_turned_away_total'>['reason']

/** Where callers from outside come in. Only its own health path is answered by Fastify, all else goes the way in. */
export const ingressListener = (listening: IngressListening): Listener => {
  const { config, take, isReady, meter, log } = listening
  const { healthPath } = config
  const turnedAway = new Map<TurnedAway, () => void>()
  const listener = edgeListener({
    tls: {
      certificates: listening.certificates,
      profile: config.tls.profile,
      unknownServerName: 'default',
      clientCertificates: undefined,
      sessionTickets: true,
      handshakeTimeoutMs: config.limits.headersTimeoutMs,
    },
    limits: config.limits,
    isOwn: (req) => healthPath !== undefined && req.url === healthPath,
    doors: take,
    turnedAway: (reason) => {
      const count =
        turnedAway.get(reason) ??
        meter.counter('sallyport_turned_away_total', { direction: 'ingress', reason })
      turnedAway.set(reason, count)
      count()
    },
    log,
  })
  if (healthPath !== undefined)
    listener.app.get(healthPath, (_request, reply) =>
      reply.code(isReady() ? 200 : 503).send({ ready: isReady() }),
    )
  return listener
}

/** @throws Error naming the file that cannot be served, and the remedy. */
export const readIngressCertificates = (
  { tls }: IngressListener,
  clock: Clock,
): Promise<readonly ServerCertificate[]> =>
  Promise.all(
    tls.certificates.map(async (files) =>
      checkCertificate(await readCertificateFiles(files), clock),
    ),
  )
