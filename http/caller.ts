import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'

/**
 * What comes from a caller, over HTTP/1.1 or HTTP/2: Node's IncomingMessage is one, `h2-server/caller-request.ts` makes
 * the other look the same.
 */
export type CallerRequest = Readable & {
  readonly method?: string | undefined
  /** Path and query. */
  readonly url?: string | undefined
  readonly httpVersion: string
  readonly httpVersionMajor: number
  /** Name, value, name, value …; `host` among them, and no pseudo-headers. */
  readonly rawHeaders: readonly string[]
  readonly headers: Readonly<IncomingHttpHeaders>
  /** All of it has arrived. */
  readonly complete: boolean
  /** Of the connection, which others may share. */
  readonly socket: Socket
  /** It said that what comes behind a body is not lost on it (`te: trailers`), over HTTP/2. */
  readonly acceptsTrailers?: boolean
  /** A call of gRPC over HTTP/2, by its type. */
  readonly isGrpc?: boolean
  /** Lifts the listener's limit on how long its body may take to arrive; others bound it then. */
  readonly mayTakeLong?: () => void
}

/** Where the answer goes; Node's ServerResponse is one. */
export type CallerResponse = Writable & {
  readonly req: CallerRequest
  readonly headersSent: boolean
  readonly statusCode: number
  /** @param headers Name, value, name, value …. Those that speak of the connection are left out where there are none. */
  readonly writeHead: (status: number, headers: string[]) => Writable
  readonly writeContinue: () => void
  readonly getHeaderNames: () => string[]
  readonly removeHeader: (name: string) => void
  /** Over HTTP/1.1: gives a whole answer, if it can be given so; see `whole-answer.ts`. */
  readonly endWhole?: (status: number, lines: string, body: string) => boolean
  /** Over HTTP/2: answers with a head that is all of the answer. */
  readonly endWithHead?: (status: number, headers: string[]) => void
  /** Over HTTP/2: ends an answer that has begun. They are left out where the caller did not ask for any. */
  readonly endWithTrailers?: (trailers: readonly string[]) => void
}
