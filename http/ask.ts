import type {
  UpstreamClient,
  UpstreamControl,
  UpstreamFault,
  UpstreamRequest,
} from './upstream-client.ts'

export type Answer = {
  readonly status: number
  readonly headers: readonly string[]
  readonly body: Buffer
}

/** No whole answer: why, in the client's words. */
export type NoAnswer = { readonly fault: UpstreamFault }

/**
 * Asks one small question and reads the whole answer.
 *
 * @param timeoutMs For all of it, waiting for a connection included.
 * @param maxBytes A longer answer is broken off.
 * @returns Never rejects.
 */
export const ask = (
  client: UpstreamClient,
  question: Pick<UpstreamRequest, 'method' | 'path' | 'authority' | 'headers'> & {
    readonly body: Buffer | null
  },
  { timeoutMs, maxBytes }: { readonly timeoutMs: number; readonly maxBytes: number },
): Promise<Answer | NoAnswer> =>
  new Promise((resolve) => {
    const chunks: Buffer[] = []
    let bytes = 0
    let head: Pick<Answer, 'status' | 'headers'> | undefined
    let control: UpstreamControl | undefined
    let why: UpstreamFault['kind'] | undefined
    const stop = (kind: UpstreamFault['kind'], message: string) => {
      why = kind
      control?.abort(new Error(message))
    }
    const timer = setTimeout(() => stop('timeout', `no answer within ${timeoutMs} ms`), timeoutMs)
    client.dispatch(
      { ...question, headersTimeoutMs: timeoutMs, idleTimeoutMs: timeoutMs },
      {
        onStart: (given) => {
          control = given
        },
        onHead: (status, headers) => {
          head = { status, headers }
        },
        onData: (chunk) => {
          bytes += chunk.length
          if (bytes > maxBytes) stop('broken', `an answer of more than ${maxBytes} bytes`)
          else chunks.push(chunk)
        },
        onEnd: () => {
          clearTimeout(timer)
          if (head) resolve({ ...head, body: wholeOf(chunks) })
        },
        onError: (fault) => {
          clearTimeout(timer)
          resolve({ fault: { ...fault, kind: why ?? fault.kind } })
        },
      },
    )
  })

const wholeOf = ([first, ...more]: readonly Buffer[]): Buffer =>
  first === undefined
    ? Buffer.alloc(0)
    : more.length === 0
      ? first
      : Buffer.concat([first, ...more])
