import type { Clock } from '#contract/clock'
import type { Log, Meter } from '#contract/telemetry'
import type { ExchangeConfig } from '#config/schema'
import { checkCertificate, readCertificateFiles, type ServerCertificate } from '#http/certificates'
import { plainListener } from '#http/listen'
import type { ListeningAt } from '#http/listen-on'
import type { AuthoritySnapshot } from './ca/snapshot.ts'
import { bundleRoute } from './published-routes.ts'

export type BundleListener = {
  readonly listen: () => Promise<ListeningAt>
  /** Reads the certificates again, and uses them if they have changed and are good. Rejects if they are not. */
  readonly renewIfDue: () => Promise<void>
  readonly close: (graceMs: number) => Promise<void>
}

type Listening = NonNullable<ExchangeConfig['listeners']['federation']>

/**
 * Where other trust domains fetch our bundle by the profile `https_web`: a listener with a certificate of the web, which has
 * nothing but `GET /bundle`. By `https_spiffe` they fetch it from the exchange's own listener.
 *
 * @see SPIFFE Federation §5.2.1
 */
export const bundleListener = async (
  config: Listening,
  authority: () => AuthoritySnapshot,
  { clock, meter, log }: { readonly clock: Clock; readonly meter: Meter; readonly log: Log },
): Promise<BundleListener> => {
  const read = (): Promise<readonly ServerCertificate[]> =>
    Promise.all(
      config.tls.certificates.map(async (files) =>
        checkCertificate(await readCertificateFiles(files), clock),
      ),
    )
  let certificates = await read()
  const listener = plainListener({
    tls: { certificates, profile: config.tls.profile, unknownServerName: 'default' },
    limits: config.limits,
    gate: {
      methods: ['GET'],
      maxHeaderPairs: config.limits.maxHeaderPairs,
      maxTargetBytes: config.limits.maxTargetBytes,
    },
    turnedAway: (reason) =>
      meter.counter('sallyport_turned_away_total', { direction: 'exchange', reason })(),
    log,
  })
  bundleRoute(listener.app, '/bundle', authority)
  return {
    listen: () => listener.listen(config.host, config.port),
    renewIfDue: async () => {
      const now = await read()
      if (now.every((one, i) => isSame(one, certificates[i]))) return
      listener.reloadTls(now)
      certificates = now
      log.info({}, 'the certificates of the bundle endpoint have changed')
    },
    close: listener.close,
  }
}

const isSame = (one: ServerCertificate, other: ServerCertificate | undefined): boolean =>
  one.certificate === other?.certificate && one.key.reveal() === other.key.reveal()
