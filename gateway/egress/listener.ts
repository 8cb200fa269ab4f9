import type { EgressListener } from '#config/schema'
import type { Clock } from '#contract/clock'
import type { Log, Meter } from '#contract/telemetry'
import { checkCertificate, readCertificateFiles, type ServerCertificate } from '#http/certificates'
import type { Doors } from '#http/doors'
import { edgeListener, type Listener } from '#http/listen'

export type EgressListening = {
  readonly config: EgressListener
  readonly certificates: readonly ServerCertificate[]
  /** PEM roots of the trust domain: who has a certificate of theirs is a workload. */
  readonly roots: string
  readonly take: Pick<Doors, 'request' | 'upgrade' | 'connect'>
  readonly meter: Meter
  readonly log: Log
}

/**
 * Where workloads come that want to go out. A certificate is asked for and not demanded, so that who has none, or a bad
 * one, is told so in an answer, and may bring a JWT-SVID instead.
 */
export const egressListener = ({
  config,
  certificates,
  roots,
  take,
  meter,
  log,
}: EgressListening): Listener =>
  edgeListener({
    tls: {
      certificates,
      profile: config.tls.profile,
      unknownServerName: 'default',
      clientCertificates: workloadCertificates(roots),
      handshakeTimeoutMs: config.limits.headersTimeoutMs,
    },
    limits: config.limits,
    isOwn: () => false,
    doors: take,
    turnedAway: (reason) =>
      meter.counter('sallyport_turned_away_total', { direction: 'egress', reason })(),
    log,
  })

export const workloadCertificates = (roots: string) =>
  ({ roots: [roots], mode: 'request' }) as const

/** @throws Error naming the file that cannot be served, and the remedy. */
export const readEgressCertificates = (
  { tls }: EgressListener,
  clock: Clock,
): Promise<readonly ServerCertificate[]> =>
  Promise.all(
    tls.certificates.map(async (files) =>
      checkCertificate(await readCertificateFiles(files), clock),
    ),
  )
