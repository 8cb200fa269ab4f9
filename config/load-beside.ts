import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads'
import { joining, type Piece } from '#contract/portable'
import type { Complaint } from './faults.ts'
import type { Loaded } from './load.ts'
import type { LoadingJob } from './loading-thread.ts'
import type { ConfigKind } from './rules/rule.ts'

export type LoadBesideOptions = {
  /** Ends it: then there is nothing. */
  readonly signal?: AbortSignal
  /** Files that are told of where the thread cannot tell them. */
  readonly files: readonly string[]
  readonly withinMs?: number
  readonly maxHeapMb?: number
}

/** For 10,000 routes some seconds of CPU, of which a busy machine may give it little. */
const usualMs = 120_000
/** For 10,000 routes a tenth. A file may have aliases and includes enough to want more than there is. */
const usualHeapMb = 2048

/**
 * As `loadConfig`, in a thread of its own, so that what is being served meanwhile does not wait: reading 10,000 routes takes
 * seconds. What comes back is put together in turns of about a millisecond. A thread that takes too long, too much memory, or
 * ends by itself is a fault of the configuration, which therefore replaces nothing.
 *
 * @returns Undefined if it was ended.
 * @throws What a bug of ours throws there.
 */
export const loadBeside = async <Kind extends ConfigKind>(
  kind: Kind,
  file: string,
  { signal, files, withinMs = usualMs, maxHeapMb = usualHeapMb }: LoadBesideOptions,
): Promise<Loaded<Kind> | undefined> => {
  if (signal?.aborted) return undefined
  const { port1: received, port2: pieces } = new MessageChannel()
  const worker = new Worker(new URL(`./loading-thread${extension}`, import.meta.url), {
    name: 'configuration',
    workerData: { kind, file, pieces } satisfies LoadingJob,
    transferList: [pieces],
    resourceLimits: { maxOldGenerationSizeMb: maxHeapMb },
  })
  const late = AbortSignal.timeout(withinMs)
  const ending = signal ? AbortSignal.any([signal, late]) : late
  try {
    const complaint = await outcome(worker, ending, withinMs, maxHeapMb)
    if (signal?.aborted) return undefined
    if (complaint) {
      const fault = { file, line: 1, column: 1, path: '', ...complaint }
      return { ok: false, faults: [fault], warnings: [], files }
    }
    return (await joined(received)) as Loaded<Kind>
  } finally {
    received.close()
    await worker.terminate()
  }
}

/** The sources run as they are, and as JavaScript where they were built. */
const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js'

/** Undefined when it is done; otherwise why it will not be. */
const outcome = async (
  worker: Worker,
  ending: AbortSignal,
  withinMs: number,
  maxHeapMb: number,
): Promise<Complaint | undefined> => {
  const over = new AbortController()
  const { signal } = over
  try {
    return await Promise.race([
      once(worker, 'message', { signal }).then(() => undefined),
      once(worker, 'exit', { signal }).then(([code]) => ({
        message: `the thread that read it ended with ${code}`,
        remedy: 'try again',
      })),
      once(ending, 'abort', { signal }).then(() => ({
        message: `it was not read within ${withinMs / 1000} s`,
        remedy: 'try again when the machine is less busy, or make it smaller',
      })),
    ])
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_WORKER_OUT_OF_MEMORY') throw cause
    return {
      message: `reading it takes more than ${maxHeapMb} MB of memory`,
      remedy: 'make it smaller: fewer routes, or fewer aliases',
    }
  } finally {
    over.abort()
  }
}

/** One piece a turn of the event loop. */
const joined = async (received: MessagePort): Promise<unknown> => {
  const whole = joining()
  for (;;) {
    const next: { readonly message: Piece } | undefined = receiveMessageOnPort(received)
    if (!next) return whole.whole()
    whole.add(next.message)
    await setImmediate()
  }
}
