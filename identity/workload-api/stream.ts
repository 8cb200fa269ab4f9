import { Client, credentials, Metadata, status } from '@grpc/grpc-js'
import type { RandomBytes, Sleep } from '#contract/clock'
import type { Outcome } from '../outcome.ts'

/** What an agent can be asked for, each an answer that goes on. */
export type AgentMethod = 'FetchX509SVID' | 'FetchX509Bundles' | 'FetchJWTBundles'

export type AgentStreamOptions = {
  /** `unix:///PATH` */
  readonly socket: string
  readonly method: AgentMethod
  /** Reads one message. A fault leaves things as they are, and the stream open. */
  readonly take: (message: Buffer) => Outcome<void> | Promise<Outcome<void>>
  /** Told when there is no answer any more, and of messages that are not acceptable; for the log. */
  readonly fault: (fault: string) => void
  readonly sleep: Sleep
  readonly randomBytes: RandomBytes
}

const maxMessageBytes = 4_194_304
/** Until the first message; the ones after it come when something has changed. */
const firstMessageMs = 10_000
const firstRetryMs = 500
const longestRetryMs = 30_000

/**
 * Follows one stream of an agent for as long as it is not closed. When the stream ends, whatever the reason, it is opened
 * again after 0.5 s ± 50 %, doubling to 30 s; an answer begins that anew. Each message is full state, so nothing is lost in
 * between.
 *
 * @returns How to stop it.
 * @see SPIFFE Workload API §4 and §5, SPIFFE Workload Endpoint §3 (the header) and §6 (codes)
 */
export const followAgent = (options: AgentStreamOptions): (() => void) => {
  const { sleep, randomBytes } = options
  const stop = new AbortController()
  const follow = async () => {
    let failures = 0
    while (!stop.signal.aborted) {
      const { fault, messages } = await readStream(options, stop.signal)
      if (stop.signal.aborted) return
      failures = messages > 0 ? 0 : failures + 1
      options.fault(fault)
      const plainMs = Math.min(firstRetryMs * 2 ** Math.min(failures, 10), longestRetryMs)
      await sleep(plainMs * (0.5 + randomBytes(4).readUInt32LE() / 2 ** 32), stop.signal)
    }
  }
  void follow()
  return () => stop.abort()
}

type Ended = { readonly fault: string; readonly messages: number }

/** One stream, from its start to its end. A connection of its own, so that no backoff but ours counts. */
const readStream = (
  { socket, method, take, fault }: AgentStreamOptions,
  signal: AbortSignal,
): Promise<Ended> =>
  new Promise((resolve) => {
    const client = new Client(socket, credentials.createInsecure(), {
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.enable_http_proxy': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.default_authority': 'localhost',
    })
    const header = new Metadata()
    header.set('workload.spiffe.io', 'true')
    let messages = 0
    let isOver = false
    // One after the other, or an older state could come after a newer one.
    let queue: Promise<void> = Promise.resolve()
    const end = (why: string) => {
      if (isOver) return
      isOver = true
      clearTimeout(late)
      signal.removeEventListener('abort', cancel)
      void queue.then(() => {
        client.close()
        resolve({ fault: why, messages })
      })
    }
    const call = client.makeServerStreamRequest(
      `/SpiffeWorkloadAPI/${method}`,
      (request: Buffer) => request,
      (message: Buffer) => message,
      Buffer.alloc(0), // the requests of all three have no fields
      header,
    )
    const cancel = () => call.cancel()
    signal.addEventListener('abort', cancel, { once: true })
    const late = setTimeout(() => {
      end(`${socket}: no answer within ${firstMessageMs} ms`)
      call.cancel()
    }, firstMessageMs)
    call.on('data', (message: Buffer) => {
      clearTimeout(late)
      queue = queue.then(async () => {
        const taken = await take(message)
        if (taken.ok) messages += 1
        else fault(`${method}: ${taken.fault}`)
      })
    })
    call.on('error', (cause: Error & { code?: number; details?: string }) =>
      end(faultOf(socket, cause)),
    )
    call.on('end', () => end(`${socket}: the agent has ended the stream`))
  })

/** By code, with what can be done about it. */
const faultOf = (
  socket: string,
  { code, details = '' }: { readonly code?: number; readonly details?: string },
): string => {
  const said = details.slice(0, 200)
  switch (code) {
    case status.PERMISSION_DENIED:
      return `${socket}: the agent has no identity for this process (${said}). Register an entry that its selectors match`
    case status.UNIMPLEMENTED:
      return `${socket}: what answers there has no such profile of the Workload API (${said})`
    case status.INVALID_ARGUMENT:
      return `${socket}: the agent refuses the question (${said})`
    case status.UNAVAILABLE:
      return `${socket}: the agent cannot be reached (${said})`
    default:
      return `${socket}: ${status[code ?? status.UNKNOWN] ?? 'an unknown error'} (${said})`
  }
}
