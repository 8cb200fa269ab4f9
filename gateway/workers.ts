import cluster, { type Worker } from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'
import { causeText } from '#contract/cause'
import type { Piece } from '#contract/portable'
import type { Log } from '#contract/telemetry'
import { askerOn, type Question } from './worker-channel.ts'

/** A question, and a configuration that is sent before it. */
export type InPieces = { readonly pieces: readonly Piece[]; readonly given: unknown }

export type WorkersOptions = {
  readonly count: number
  /** What a worker is started with; asked at each start. */
  readonly given: () => Promise<InPieces>
  /** Changes when that does: a worker that was started with what it was before is not used. */
  readonly generation: () => number
  /** Told of a worker that ended by itself; its figures so far were `id`'s. */
  readonly ended: (id: number) => void
  readonly log: Log
}

export type WorkerAnswer = { readonly id: number; readonly pid: number; readonly answer: unknown }

/** The processes that serve, kept alive by the one that does not. */
export type Workers = {
  /** Asks all that run. Rejects with the first fault. */
  readonly askAll: (ask: Question, given?: unknown, withinMs?: number) => Promise<unknown>
  /** The same, once each has all the pieces. Rejects when all have answered. */
  readonly askAllInPieces: (ask: Question, given: InPieces, withinMs: number) => Promise<void>
  /** Asks all that run, and gives what those say who answer. */
  readonly askEach: (ask: Question) => Promise<readonly WorkerAnswer[]>
  /** Tells all that run; one that cannot do it is ended, and started again as it should be. */
  readonly tellAll: (ask: Question, given?: unknown) => Promise<void>
  /** Asks one that runs. */
  readonly askOne: (ask: Question, given: unknown) => Promise<unknown>
  readonly running: () => number
  /** Lets them finish, for at most `withinMs`, then ends them. */
  readonly close: (withinMs: number) => Promise<void>
}

const startWithinMs = 60_000
const usualMs = 5000
/** One that lived shorter than `livedMs` is followed by the next after `restMs`, so that what cannot run does not spin. */
const livedMs = 5000
const restMs = 1000

/**
 * Starts `count` workers and starts another for each that ends by itself. Connections are given to them in turn by this
 * process, which reads nothing of them: with `reusePort` those in the queue of a worker that ends would be reset.
 *
 * @throws Error if one of the first cannot start.
 */
export const startWorkers = async ({
  count,
  given,
  generation,
  ended,
  log,
}: WorkersOptions): Promise<Workers> => {
  cluster.schedulingPolicy = cluster.SCHED_RR
  cluster.setupPrimary({ args: process.argv.slice(2), serialization: 'advanced' })
  type Running = {
    readonly worker: Worker
    readonly ask: (ask: Question, given: unknown, withinMs?: number) => Promise<unknown>
  }
  const running = new Map<number, Running>()
  let isClosing = false

  const start = async (): Promise<void> => {
    const worker = cluster.fork()
    const { id } = worker
    const began = performance.now()
    const asker = askerOn(
      {
        send: (message) => void (worker.isConnected() && worker.send(message, () => {})),
        onMessage: (listener) => void worker.on('message', listener),
      },
      `worker ${id}`,
    )
    worker.on('error', () => {}) // its end is told by 'exit'
    worker.once('exit', (code, signal) => {
      asker.gone()
      const wasRunning = running.delete(id)
      if (isClosing || !wasRunning) return
      log.error({ worker: id, code, signal }, 'a worker ended by itself; another is started')
      ended(id)
      void again(performance.now() - began)
    })
    const startedFor = generation()
    try {
      await askInPieces(asker.ask, 'start', await given(), startWithinMs)
      if (isClosing) throw new Error('all are ending')
      if (startedFor !== generation()) throw new Error('what it was started with has changed')
    } catch (cause) {
      worker.process.kill('SIGKILL')
      throw cause
    }
    running.set(id, {
      worker,
      ask: (ask, with_, withinMs = usualMs) => asker.ask(ask, with_, withinMs),
    })
  }

  const again = async (lived: number): Promise<void> => {
    let wait = lived < livedMs ? restMs : 0
    for (;;) {
      await sleep(wait)
      if (isClosing) return
      try {
        return await start()
      } catch (cause) {
        log.error({ reason: causeText(cause) }, 'a worker cannot start')
        wait = restMs
      }
    }
  }

  const close = async (withinMs: number): Promise<void> => {
    isClosing = true
    await Promise.all(
      [...running.values()].map(async ({ worker, ask }) => {
        const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
        await ask('close', undefined, withinMs).catch((cause: unknown) =>
          log.error({ reason: causeText(cause) }, 'a worker did not end in good order'),
        )
        const late = setTimeout(() => worker.process.kill('SIGKILL'), usualMs)
        if (worker.isConnected()) worker.disconnect()
        await exited
        clearTimeout(late)
      }),
    )
  }

  try {
    await Promise.all(Array.from({ length: count }, start))
  } catch (cause) {
    await close(usualMs)
    throw cause
  }
  return {
    running: () => running.size,
    askAll: (ask, with_, withinMs) =>
      Promise.all([...running.values()].map((each) => each.ask(ask, with_, withinMs))),
    askAllInPieces: async (ask, with_, withinMs) => {
      const all = [...running.values()].map((each) => askInPieces(each.ask, ask, with_, withinMs))
      await Promise.allSettled(all) // nothing of it may still come after what follows
      await Promise.all(all)
    },
    askEach: async (ask) => {
      const answers = await Promise.all(
        [...running].map(async ([id, each]): Promise<WorkerAnswer[]> => {
          const pid = each.worker.process.pid ?? 0
          return each.ask(ask, undefined).then(
            (answer) => [{ id, pid, answer }],
            () => [], // it is about to be found dead
          )
        }),
      )
      return answers.flat()
    },
    tellAll: async (ask, with_) => {
      await Promise.all(
        [...running].map(([id, each]) =>
          each.ask(ask, with_).catch((cause: unknown) => {
            log.error({ worker: id, ask, reason: causeText(cause) }, 'a worker is replaced')
            each.worker.process.kill('SIGKILL')
          }),
        ),
      )
    },
    askOne: async (ask, with_) => {
      const [one] = running.values()
      if (!one) throw new Error('no worker runs')
      return one.ask(ask, with_)
    },
    close,
  }
}

/** The next piece is sent when the one before has been taken: a worker puts them together between requests. */
const askInPieces = async (
  ask: (ask: Question, given: unknown, withinMs: number) => Promise<unknown>,
  question: Question,
  { pieces, given }: InPieces,
  withinMs: number,
): Promise<void> => {
  for (const piece of pieces) await ask('piece', piece, withinMs)
  await ask(question, given, withinMs)
}
