import { formatFault, type ConfigOf, type Fault } from '#config/load'
import { loadBeside } from '#config/load-beside'
import type { Log } from '#contract/telemetry'
import { causeText } from '#contract/cause'
import { fileStamp } from '#http/file-stamp'

type Kind = keyof ConfigOf

/** What can take another configuration while it runs. */
export type Reloadable<Config> = {
  readonly reload?: (config: Config, revision: string) => Promise<void>
  /** Told of a configuration that cannot be loaded. */
  readonly reloadFailed?: (faults: readonly string[]) => void
  /** For rotation: opens the files of records anew. */
  readonly reopenRecords?: () => void
}

const pollMs = 2000

/**
 * Loads the configuration again at SIGHUP, and when a file of it has changed: itself, what it includes, certificates,
 * policy, rules. A change counts once the files have been the same for one look, so that files that are replaced one by
 * one are read when the last is there. They are read in a thread beside, so that nobody waits for it. What cannot be loaded
 * changes nothing, and is told once.
 *
 * @param files Those that the configuration that runs was made from.
 * @returns How to end it; resolves when no load is under way any more.
 */
export const reloadOnChange = <K extends Kind>(
  kind: K,
  file: string,
  files: readonly string[],
  served: Reloadable<ConfigOf[K]>,
  log: Log,
): (() => Promise<void>) => {
  let watched = files
  let loaded = fileStamp(watched)
  let seen = loaded
  let turn: Promise<void> = Promise.resolve()
  const ending = new AbortController()

  const load = async (): Promise<void> => {
    loaded = fileStamp(watched) // before reading: what changes meanwhile is seen next time
    seen = loaded
    const next = await loadBeside(kind, file, { signal: ending.signal, files: watched })
    if (!next) return
    watch(next.files)
    if (!next.ok) {
      const faults = next.faults.map(formatFault)
      served.reloadFailed?.(faults)
      return log.error({ faults }, 'the new configuration has faults, the one before stays')
    }
    warnOf(next.warnings, log)
    try {
      await served.reload?.(next.config, next.revision)
      log.info({ revision: next.revision }, 'reloaded')
    } catch (cause) {
      log.error(
        { reason: causeText(cause) },
        'the new configuration cannot be used, the one before stays',
      )
    }
  }
  const watch = (named: readonly string[]) => {
    if (named.join() === watched.join()) return
    watched = named
    loaded = fileStamp(watched)
    seen = loaded
  }
  /** One after the other: the last one that was asked for is the one that runs. */
  const inTurn = (): Promise<void> => {
    turn = turn.then(load).catch((cause: unknown) => {
      served.reloadFailed?.([causeText(cause)])
      log.error({ err: cause }, 'a bug of ours: reloading broke, the configuration before stays')
    })
    return turn
  }

  const onHangup = () => {
    served.reopenRecords?.()
    if (served.reload) void inTurn()
    else log.info({}, 'SIGHUP: the files of records were opened anew; all else needs a restart')
  }
  const look = () => {
    const now = fileStamp(watched)
    if (now !== loaded && now === seen) void inTurn()
    seen = now
  }
  const timer = served.reload && setInterval(look, pollMs).unref()
  process.on('SIGHUP', onHangup)
  return () => {
    process.off('SIGHUP', onHangup)
    clearInterval(timer)
    ending.abort() // of what is being read; what is being built is waited for
    return turn
  }
}

export const warnOf = (warnings: readonly Fault[], log: Log): void => {
  for (const warning of warnings) log.warn({ warning: formatFault(warning) }, 'configuration')
}
