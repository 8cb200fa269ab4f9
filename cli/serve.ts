import { formatFault, loadConfig, type ConfigOf } from '#config/load'
import type { Log } from '#contract/telemetry'
import { causeText } from '#contract/cause'
import { exitCodes, readArguments } from './command.ts'
import { processLog } from './log.ts'
import { reloadOnChange, warnOf, type Reloadable } from './reloading.ts'

/** A process that serves until it is told to end. */
export type Served<Config> = Reloadable<Config> & {
  readonly close: () => Promise<void>
}

type Kind = keyof ConfigOf
type Start<K extends Kind> = (
  config: ConfigOf[K],
  parts: { readonly log: Log; readonly revision: string; readonly signal: AbortSignal },
) => Promise<Served<ConfigOf[K]>>

/** Runs `sallyport gateway FILE` or `sallyport exchange FILE`: all faults at once, then SIGHUP reloads and SIGTERM ends. */
export const serve = async <K extends Kind>(
  kind: K,
  args: readonly string[],
  load: () => Promise<Start<K>>,
): Promise<number> => {
  const usage = `sallyport ${kind} FILE\n\nRuns the ${kind} that FILE configures. SIGTERM ends it without losing what is under way.\n`
  const read = readArguments(args, {
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h', default: false } },
  })
  if (!read.ok || (read.given.positionals.length !== 1 && !read.given.values.help)) {
    process.stderr.write(`${read.ok ? 'Name one file.' : read.message}\n\n${usage}`)
    return exitCodes.usage
  }
  if (read.given.values.help) {
    process.stdout.write(usage)
    return exitCodes.done
  }
  const [file = ''] = read.given.positionals
  const log = processLog(kind)
  const loaded = await loadConfig(kind, file)
  if (!loaded.ok) {
    for (const fault of loaded.faults) process.stderr.write(`${formatFault(fault)}\n`)
    return exitCodes.faults
  }
  warnOf(loaded.warnings, log)
  const ending = new AbortController()
  const told = endOfProcess(ending)
  let isServing = false
  try {
    const start = await load()
    const served = await start(loaded.config, {
      log,
      revision: loaded.revision,
      signal: ending.signal,
    })
    isServing = true
    log.info({ revision: loaded.revision }, 'ready')
    const stopReloading = reloadOnChange(kind, file, loaded.files, served, log)
    const signal = await told
    log.info({ signal }, 'ending')
    await stopReloading()
    await served.close()
    return exitCodes.done
  } catch (cause) {
    if (ending.signal.aborted && !isServing) return exitCodes.done // told to end while it was starting
    process.stderr.write(`sallyport ${kind}: ${causeText(cause)}\n`)
    return exitCodes.faults
  }
}

const endOfProcess = (ending: AbortController): Promise<string> =>
  new Promise((resolve) => {
    const end = (signal: string) => {
      ending.abort()
      resolve(signal)
    }
    // It may come twice: to the whole group, and once more from who passes it on. The second must not cut a drain short.
    process.on('SIGTERM', end)
    process.once('SIGINT', end)
  })
