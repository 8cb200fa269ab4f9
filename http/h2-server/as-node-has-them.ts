import type { IncomingMessage, ServerResponse } from 'node:http'
import { Http2ServerRequest, Http2ServerResponse, type ServerHttp2Stream } from 'node:http2'
import type { H2Request, ReceivedHead } from './caller-request.ts'

/**
 * A request and its answer as Node's own servers would have made them, for Fastify. Nobody may read the request, or
 * answer it, any other way then.
 *
 * Less what is wrong with Node's: half of a body whose stream was reset would be a whole one, and an answer that could not
 * be sent a sent one; a Host is missing; the socket is another proxy each time, by which nothing of a connection can be
 * remembered.
 */
export const asNodeHasThem = (
  stream: ServerHttp2Stream,
  received: ReceivedHead,
  request: H2Request,
): [IncomingMessage, ServerResponse] => {
  const req: unknown = new CompatibleRequest(stream, received, request)
  const res: unknown = new CompatibleResponse(stream)
  return [req as IncomingMessage, res as ServerResponse] // alike in all that Fastify asks of them
}

class CompatibleRequest extends Http2ServerRequest {
  readonly of: H2Request

  constructor(stream: ServerHttp2Stream, { headers, raw }: ReceivedHead, of: H2Request) {
    headers.host ??= headers[':authority']
    super(stream, headers, {}, raw)
    this.of = of
    this.on('error', () => {}) // whoever reads it listens, too
  }

  override push(chunk: Buffer | null, encoding?: BufferEncoding): boolean {
    if (chunk !== null) this.of.bodyBytes += chunk.length
    else if (this.stream.aborted || this.stream.closed) {
      this.destroy(new Error('the body broke off'))
      return false
    }
    return super.push(chunk, encoding)
  }
}

class CompatibleResponse extends Http2ServerResponse {}

// Not in the classes: they are properties in the types, and getters in fact.
const getters = <T extends object>(prototype: T, get: Record<string, (self: T) => unknown>) => {
  for (const [name, of] of Object.entries(get))
    Object.defineProperty(prototype, name, {
      get(this: T) {
        return of(this)
      },
    })
}
getters(CompatibleRequest.prototype, {
  socket: ({ of }) => of.socket,
  httpVersion: ({ of }) => of.httpVersion,
})
getters(CompatibleResponse.prototype, {
  writableFinished: ({ stream }) =>
    stream.headersSent && stream.writableFinished && !stream.aborted,
})
