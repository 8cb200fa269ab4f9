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
}
