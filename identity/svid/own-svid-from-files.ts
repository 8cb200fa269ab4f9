import { readFile, stat } from 'node:fs/promises'
import { causeText } from '#contract/cause'
import type { Clock } from '#contract/clock'
import type { SpiffeId } from '#contract/spiffe-id'
import type { Log, Meter } from '#contract/telemetry'
import { bad, good, type Outcome } from '../outcome.ts'
import { checkSvid } from './check-svid.ts'
import { listeners } from './listeners.ts'
import { isSameSvid, type OwnSvid, type Svid } from './svid.ts'

export type SvidFiles = {
  /** PEM, leaf first. */
  readonly certificateFile: string
  /** PEM. */
  readonly keyFile: string
  /** PEM roots of the trust domain. */
  readonly bundleFile: string
}

export type OwnSvidFromFilesOptions = SvidFiles & {
  /** Whose it must be: as somebody else we would be let in nowhere, or where we should not be. */
  readonly spiffeId: SpiffeId
  /** How often the files are looked at. By default 2 s. */
  readonly pollMs?: number
  readonly clock: Clock
  readonly meter: Meter
  readonly log: Log
}

const defaultPollMs = 2000

/**
 * The own X.509-SVID from three files that somebody else renews (SPIRE's helper, cert-manager, a person). They are
 * looked at every 2 s and read when one has changed; all three have to fit together, so files that are being replaced
 * one by one are used once the last is there, and a bad file never replaces a good one.
 *
 * Polling, not watching: in Kubernetes a mounted Secret changes by a symbolic link that is swapped, and network file
 * systems tell nothing at all.
 *
 * @throws Error at start that names the files and what is wrong with them.
 */
export const ownSvidFromFiles = async (
  options: OwnSvidFromFilesOptions,
): Promise<OwnSvid & { readonly reload: () => Promise<Outcome<void>> }> => {
  const { certificateFile, keyFile, bundleFile, clock, log } = options
  const files = [certificateFile, keyFile, bundleFile] as const
  const showEnd = options.meter.gauge('sallyport_certificate_not_after_timestamp_seconds', {
    role: 'svid',
  })
  const changed = listeners<Svid>()
  let seen = await fingerprintOf(files)
  const first = await readSvid(options, clock())
  if (!first.ok) throw new Error(`identity: ${first.fault}. Look at ${files.join(', ')}.`)
  let current = first.value
  showEnd(current.notAfterMs / 1000)

  const reload = async (): Promise<Outcome<void>> => {
    seen = await fingerprintOf(files) // before reading: what changes meanwhile is seen next time
    const read = await readSvid(options, clock())
    if (!read.ok) {
      log.error({ files, fault: read.fault }, 'the new SVID is not usable, the one before stays')
      return read
    }
    if (!isSameSvid(read.value, current)) {
      current = read.value
      showEnd(current.notAfterMs / 1000)
      log.info({ spiffeId: current.spiffeId, files }, 'the own SVID has changed')
      changed.tell(current)
    }
    return good(undefined)
  }

  let closed = false
  let timer: NodeJS.Timeout | undefined
  const poll = () => {
    timer = setTimeout(() => {
      void fingerprintOf(files)
        .then((now) => (now === seen ? undefined : reload()))
        .catch((cause: unknown) => log.error({ err: cause }, 'looking at the SVID files broke'))
        .finally(() => closed || poll())
    }, options.pollMs ?? defaultPollMs)
    timer.unref()
  }
  poll()

  return {
    current: () => current,
    onChange: changed.add,
    reload,
    close: () => {
      closed = true
      clearTimeout(timer)
    },
  }
}

const readSvid = async (
  files: SvidFiles & { readonly spiffeId: SpiffeId },
  nowMs: number,
): Promise<Outcome<Svid>> => {
  try {
    const [certificateChain, privateKey, bundle] = await Promise.all([
      readFile(files.certificateFile, 'utf8'),
      readFile(files.keyFile, 'utf8'),
      readFile(files.bundleFile, 'utf8'),
    ])
    const svid = checkSvid({ certificateChain, privateKey, bundle }, nowMs)
    if (!svid.ok || svid.value.spiffeId === files.spiffeId) return svid
    return bad(`the certificate is that of ${svid.value.spiffeId}, not of ${files.spiffeId}`)
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause
    return bad(causeText(cause))
  }
}

/** Changes when a file does; a missing one is a state like another. */
const fingerprintOf = async (files: readonly string[]): Promise<string> => {
  const parts = files.map(async (file) => {
    const found = await stat(file).catch(() => undefined)
    return found ? `${found.ino} ${found.size} ${found.mtimeMs}` : 'missing'
  })
  return (await Promise.all(parts)).join('\n')
}
