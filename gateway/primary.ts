import { causeText } from '#contract/cause'
import type { Clock, RandomBytes } from '#contract/clock'
import type { Log, Meter } from '#contract/telemetry'
import type { GatewayConfig } from '#config/schema'
import { plainListener } from '#http/listen'
import type { OwnSvid } from '#identity/svid/svid'
import type { AdminAnswer } from './admin/ask-app.ts'
import { primaryRoutes } from './admin/primary-routes.ts'
import { inSlices } from '#contract/in-slices'
import { piecesOf, toPortable, type Piece } from '#contract/portable'
import { reloadNotes } from './reload-status.ts'
import type { RunningGateway } from './run.ts'
import { startWorkers } from './workers.ts'

export type PrimaryPorts = {
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly meter: Meter
  readonly log: Log
  readonly ownSvid: OwnSvid
  /** Adds up what workers say of their figures; `departed` those of one that is gone. */
  readonly figures: {
    readonly scrape: (
      ofWorkers: ReadonlyMap<number, readonly object[]>,
    ) => Promise<{ readonly contentType: string; readonly body: string }>
    readonly departed: (id: number) => Promise<void>
  }
}

/** What serves when there are workers: the same as one process, seen from outside. */
export type RunningPrimary = Pick<
  RunningGateway,
  'admin' | 'reload' | 'reloadFailed' | 'reopenRecords' | 'close'
>

/** Building rules and policies takes its time. */
const prepareWithinMs = 60_000
const beyondDrainMs = 10_000

/**
 * The process that keeps workers alive. It forwards nothing and reads nothing of callers: it has the admin listener, the
 * own SVID, the files that are watched, and adds the figures of all workers up. A configuration is built by every worker
 * before any of them uses it.
 */
export const startPrimary = async (
  config: GatewayConfig,
  revision: string,
  { clock, randomBytes, meter, log, ownSvid, figures }: PrimaryPorts,
): Promise<RunningPrimary> => {
  let current = { config, revision }
  let generation = 0
  let isDraining = false
  const notes = reloadNotes(config, revision, { clock, meter, log })
  const ticketKeys = randomBytes(48).toString('base64')
  const showRunning = meter.gauge('sallyport_workers', {})
  const countEnded = meter.counter('sallyport_workers_lost_total', {})
  const workers = await startWorkers({
    count: config.workers,
    given: async () => {
      const started = current
      return {
        pieces: await inPieces(started.config),
        given: toPortable({ revision: started.revision, svid: ownSvid.current(), ticketKeys }),
      }
    },
    generation: () => generation,
    ended: (id) => {
      void figures.departed(id)
      countEnded()
    },
    log,
  })
  const stopFollowing = ownSvid.onChange((svid) => {
    workers
      .askAll('svid', toPortable(svid))
      .catch((cause: unknown) =>
        log.error({ reason: causeText(cause) }, 'the new SVID is not used'),
      )
  })

  const unready = async (): Promise<readonly string[]> => {
    const answers = await workers.askEach('unready')
    const reasons = answers.flatMap(({ answer }) => answer as readonly string[])
    return [
      ...(isDraining ? ['shutting down'] : []),
      ...(answers.length === 0 ? ['no worker runs'] : []),
      ...new Set(reasons),
    ]
  }
  const status = async (): Promise<object> => {
    const answers = await workers.askEach('status')
    const all = answers.map(({ pid, answer }) => ({ pid, ...(answer as { open: number }) }))
    const open = all.reduce((sum, worker) => sum + worker.open, 0)
    const [one = {}] = answers.map(({ answer }) => answer as object)
    const { config: loads = {} } = one as { config?: object }
    const workersNow = all.map(({ pid, open: mine }) => ({ pid, open: mine }))
    return { ...one, config: { ...loads, ...notes.status() }, open, workers: workersNow }
  }
  const admin = plainListener({
    turnedAway: (reason) =>
      meter.counter('sallyport_turned_away_total', { direction: 'admin', reason })(),
    log,
  })
  primaryRoutes(admin.app, {
    host: config.listeners.admin.host,
    unready,
    status,
    metrics: async () => {
      showRunning(workers.running())
      const answers = await workers.askEach('metrics')
      return figures.scrape(
        new Map(answers.map(({ id, answer }) => [id, answer as readonly object[]])),
      )
    },
    askWorker: async (question) => (await workers.askOne('admin', question)) as AdminAnswer,
  })

  const reload = async (next: GatewayConfig, nextRevision: string): Promise<void> => {
    try {
      const given = { pieces: await inPieces(next), given: { revision: nextRevision } }
      await workers.askAllInPieces('prepare', given, prepareWithinMs)
    } catch (cause) {
      await workers.tellAll('abandon')
      notes.failed([causeText(cause)])
      throw cause
    }
    current = { config: next, revision: nextRevision } // one that dies now comes back with it
    generation += 1
    await workers.tellAll('commit')
    notes.succeeded(next, nextRevision)
  }

  const close = async (): Promise<void> => {
    isDraining = true
    const { drainDelaySeconds, drainSeconds } = config
    await workers.close((drainDelaySeconds + drainSeconds) * 1000 + beyondDrainMs)
    await admin.close(1000)
    stopFollowing()
    ownSvid.close()
  }

  try {
    return {
      admin: await admin.listen(config.listeners.admin.host, config.listeners.admin.port),
      reload,
      reloadFailed: notes.failed,
      reopenRecords: () => {
        void workers.tellAll('reopen')
      },
      close,
    }
  } catch (cause) {
    await close()
    throw cause
  }
}

/** This process gives the workers their connections: it must not be late for long either. */
const inPieces = async (config: GatewayConfig): Promise<readonly Piece[]> => {
  const pieces: Piece[] = []
  await inSlices(piecesOf(config), (piece) => void pieces.push(piece))
  return pieces
}
