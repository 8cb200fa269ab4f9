import { causeText } from '#contract/cause'
import type { Log, Meter } from '#contract/telemetry'
import type { ServerCertificate } from '#http/certificates'
import type { Listener } from '#http/listen'
import type { Authority } from './ca/authority.ts'
import type { OwnCertificate } from './own-certificate.ts'
import { serially } from './serially.ts'

export type Upkeep = {
  /** Does what is due. Never rejects: a failure is logged, kept for `fault`, and tried again the next time. */
  readonly tick: () => Promise<void>
  /** Why the last tick failed; undefined if it did not. */
  readonly fault: () => string | undefined
}

export type UpkeepParts = {
  readonly authority: Authority
  readonly own: OwnCertificate
  /** PEM of all whose certificates are believed. */
  readonly rootsPem: () => string
  /** Gives the listener the own certificate and the roots as they are now. */
  readonly reloadTls: () => void
  /** Writes the roots where others read them. */
  readonly publishRoots: (rootsPem: string) => Promise<void>
  /** Writes the CAs of inspected hosts likewise; only called if there are any. */
  readonly publishInspection: (pem: string) => Promise<void>
  readonly meter: Meter
  readonly log: Log
}

/** How often it is asked what is due; SPIRE asks as often. */
const upkeepEveryMs = 10_000

/** Keeps keys, certificates and what others see of them up to date. */
export const upkeepOf = (parts: UpkeepParts): Upkeep => {
  const { authority, own, rootsPem, reloadTls, publishRoots, publishInspection, meter, log } = parts
  const svidEnds = meter.gauge('sallyport_certificate_not_after_timestamp_seconds', {
    role: 'svid',
  })
  const caEnds = meter.gauge('sallyport_certificate_not_after_timestamp_seconds', { role: 'ca' })
  const oneByOne = serially()
  let fault: string | undefined
  let publishedRoots: string | undefined
  let publishedInspection = ''
  let shown: { readonly certificate: ServerCertificate; readonly roots: string } | undefined

  const work = async () => {
    for (const { kind, step } of await authority.rotate())
      log.info({ kind, step }, 'a key of the exchange has turned')
    if (await own.renewIfDue()) log.info({}, 'the own certificate was renewed')
    const { inspectionPem, issuer } = authority.current()
    const roots = rootsPem()
    const certificate = own.current()
    if (roots !== publishedRoots) await publishRoots(roots)
    publishedRoots = roots
    if (inspectionPem !== publishedInspection) await publishInspection(inspectionPem)
    publishedInspection = inspectionPem
    // Noted only after it went well, so that what failed is done the next time.
    if (certificate !== shown?.certificate || roots !== shown.roots) reloadTls()
    shown = { certificate, roots }
    svidEnds(certificate.notAfterMs / 1000)
    caEnds(issuer.notAfterMs / 1000)
  }

  return {
    tick: () =>
      oneByOne(async () => {
        try {
          await work()
          fault = undefined
        } catch (cause) {
          fault = `keys and certificates could not be kept up to date: ${causeText(cause)}`
          log.error({ err: cause }, fault)
        }
      }),
    fault: () => fault,
  }
}

/** Upkeep, and gauges that nobody sets when they change. */
export const everySoOften = (
  tick: () => Promise<void>,
  showIssued: () => Promise<void>,
  [listener, admin]: readonly [Listener, Listener],
  meter: Meter,
) => {
  const showExchange = meter.gauge('sallyport_connections', { listener: 'exchange' })
  const showAdmin = meter.gauge('sallyport_connections', { listener: 'admin' })
  const timer = setInterval(() => {
    showExchange(listener.connections())
    showAdmin(admin.connections())
    void showIssued()
    void tick()
  }, upkeepEveryMs).unref()
  return () => clearInterval(timer)
}
