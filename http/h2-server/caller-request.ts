import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { CallerRequest } from '../caller.ts'
import { markFault } from '../socket-fault.ts'
import { requestHead } from './request-head.ts'
import { followBody } from './stream-events.ts'

/**
 * A request of HTTP/2, as the pipeline knows requests.
 *
 * It ends only where the caller has ended it. Node's stream also ends when it was reset, whatever had arrived; taken for
 * the end of the body, that would make a whole request of half of one.
 */
export class H2Request extends Readable implements CallerRequest {
  readonly method: string | undefined
  url: string | undefined
  readonly httpVersion: string
  readonly httpVersionMajor = 2
  readonly rawHeaders: readonly string[]
  /** Those that speak of the body; see `showHeaders`. */
  headers: CallerRequest['headers']
  readonly socket: Socket
  complete: boolean
  /** Of the body, as far as it was read. */
  bodyBytes = 0
  readonly headBytes: number
  /** Its head is larger than was announced, which callers who have not acknowledged it are not held to. */
  readonly isTooLarge: boolean
  readonly acceptsTrailers: boolean
  readonly isGrpc: boolean
  /** Ends it if its body is not here in time. */
  arrivalTimer: NodeJS.Timeout | undefined
  readonly #stream: ServerHttp2Stream
  readonly #received: ReceivedHead
  #isReading = false
  #isShown = false

  constructor(stream: ServerHttp2Stream, received: ReceivedHead, socket: Socket) {
    super()
    const head = requestHead(received.raw, !stream.endAfterHeaders)
    this.headBytes = listBytes(received.raw)
    this.isTooLarge = this.headBytes > received.maxHeaderBytes
    this.#stream = stream
    this.#received = received
    this.method = head.method
    this.url = head.url
    this.httpVersion = head.httpVersion
    this.acceptsTrailers = head.acceptsTrailers === true
    this.isGrpc = head.isGrpc === true
    this.rawHeaders = head.rawHeaders
    this.headers = aboutBody(head.rawHeaders)
    this.socket = socket
    this.complete = stream.endAfterHeaders
  }

  override _read(): void {
    if (this.#isReading) return void this.#stream.resume()
    this.#isReading = true
    // One that ends without a byte says so before anyone reads it, and not again.
    if (this.#stream.readableEnded) return this.bodyEnded()
    followBody(this.#stream)
  }

  /** A part of its body has arrived. */
  bodyCame(chunk: Buffer): void {
    this.bodyBytes += chunk.length
    if (!this.push(chunk)) this.#stream.pause()
  }

  mayTakeLong(): void {
    clearTimeout(this.arrivalTimer)
  }

  /** Somebody waits for its body, and will be told if that does not come. */
  get isBeingRead(): boolean {
    return this.#isReading && !this.#isShown // Fastify would wait on
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // Before its answer is out, that is the answer's to do.
    if (!this.complete && this.#stream.writableFinished)
      this.#stream.close(constants.NGHTTP2_NO_ERROR)
    done(error)
  }

  /** From now on all are in `headers`, for Fastify, which does not read them by the gate. */
  showHeaders(): void {
    const { headers } = this.#received
    this.#isShown = true
    headers.host ??= headers[':authority']
    this.headers = headers
  }

  /** Its stream has no more to read. */
  bodyEnded(): void {
    clearTimeout(this.arrivalTimer)
    if (this.#stream.aborted || this.#stream.closed) return this.streamGone()
    this.complete = true
    this.push(null)
  }

  /** Its stream was aborted, or has closed. */
  streamGone(): void {
    const { rstCode, session } = this.#stream
    // Whoever only left had its streams cancelled, or broken off with the line; anything else is what nghttp2 ended the
    // whole connection for.
    const hasLeft = rstCode === constants.NGHTTP2_CANCEL || isOfTheLine(this.#stream.errored)
    if (session?.destroyed && !hasLeft) markFault(this, 'connection-abused')
    if (this.complete || this.destroyed) return
    // nghttp2 counts the bytes of a body, and resets the stream where they are not those that were announced.
    const isShort = rstCode === constants.NGHTTP2_PROTOCOL_ERROR
    if (isShort && this.headers['content-length'] !== undefined)
      markFault(this, 'request-malformed')
    this.destroy()
  }
}

/** An error of the socket, such as ECONNRESET; those of the protocol are all Node's own. */
const isOfTheLine = (error: NodeJS.ErrnoException | null): boolean =>
  error?.code !== undefined && !error.code.startsWith('ERR_')

/** A head as nghttp2 delivers it. */
export type ReceivedHead = {
  readonly headers: IncomingHttpHeaders
  readonly raw: readonly string[]
  readonly maxHeaderBytes: number
}

/** RFC 9113 §6.5.2 */
const fieldOverheadBytes = 32

const listBytes = (raw: readonly string[]): number => {
  let bytes = (raw.length / 2) * fieldOverheadBytes
  for (const part of raw) bytes += part.length
  return bytes
}

/** What is asked of `headers` before the gate has read them. */
const aboutBody = (raw: readonly string[]): CallerRequest['headers'] => {
  const headers: Record<string, string> = {}
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string
    if (name === 'content-length' || name === 'transfer-encoding' || name === 'expect')
      headers[name] = raw[i + 1] as string
  }
  return headers
}
