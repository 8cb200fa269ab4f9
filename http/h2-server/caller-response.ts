import type { OutgoingHttpHeader } from 'node:http'
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { Writable } from 'node:stream'
import type { CallerResponse } from '../caller.ts'
import { ignoreError } from '../ignore-error.ts'
import type { H2Request } from './caller-request.ts'
import { followTrailers } from './stream-events.ts'

type Done = (error?: Error | null) => void

/**
 * Where an answer over HTTP/2 goes, as the pipeline knows answers. What is written waits for the caller's window; a body
 * that an answer may not have (HEAD, 204, 304) is swallowed, as Node does it for HTTP/1.1.
 */
export class H2Response extends Writable implements CallerResponse {
  readonly req: H2Request
  headersSent = false
  statusCode = 200
  /** HTTP/1.1 says with each answer whether its connection goes on. Here that is not an answer's to say. */
  shouldKeepAlive = true
  readonly #stream: ServerHttp2Stream
  #sentBytes = 0
  #hasNoBody = false
  #nextIsLast = false
  #trailers: readonly string[] = []
  /** Before the head is written. */
  #set: OutgoingHttpHeaders | undefined

  constructor(stream: ServerHttp2Stream, req: H2Request) {
    super()
    this.#stream = stream
    this.req = req
    this.on('error', ignoreError) // its 'close' follows
  }

  /**
   * @param headers As the pipeline has them, or as Fastify has.
   * @throws TypeError for a value that cannot stand in a header.
   */
  writeHead(status: number, headers: string[] | OutgoingHttpHeaders = []): this {
    return this.#respond(
      status,
      Array.isArray(headers) ? headers : flat(this.#set ? { ...this.#set, ...headers } : headers),
      this.req.method === 'HEAD' || status === 204 || status === 304,
    )
  }

  /** For gRPC an answer without a message is one block, in which its status stands. */
  endWithHead(status: number, headers: string[]): void {
    this.#respond(status, headers, true)
    this.end()
  }

  endWithTrailers(trailers: readonly string[]): void {
    this.#trailers = trailers
    this.end()
  }

  #respond(status: number, headers: string[], isAll: boolean): this {
    const kept: (string | number)[] = [':status', status]
    for (let i = 0; i + 1 < headers.length; i += 2) {
      const [name, value] = [headers[i] as string, headers[i + 1] as string]
      if (notInValue.test(value)) throw new TypeError(`a value that ${name} cannot have`)
      if (!aboutConnection.has(name)) kept.push(name, value)
    }
    this.#hasNoBody = isAll
    this.statusCode = status
    this.headersSent = true
    const waitForTrailers = this.req.acceptsTrailers && !isAll
    if (waitForTrailers) followTrailers(this.#stream)
    this.#stream.respond(kept as string[], { endStream: isAll, waitForTrailers })
    return this
  }

  writeContinue(): void {
    if (!this.headersSent && !this.#stream.destroyed)
      this.#stream.additionalHeaders({ ':status': 100 })
  }

  /** Of the body: what has fitted into the caller's window, and what waits for it. */
  get bytesWritten(): number {
    return this.#sentBytes + this.writableLength
  }

  setHeader(name: string, value: OutgoingHttpHeader): this {
    ;(this.#set ??= {})[name.toLowerCase()] = value
    return this
  }

  getHeader(name: string): OutgoingHttpHeader | undefined {
    return this.#set?.[name.toLowerCase()]
  }

  hasHeader(name: string): boolean {
    return this.getHeader(name) !== undefined
  }

  getHeaders(): OutgoingHttpHeaders {
    return { ...this.#set }
  }

  getHeaderNames(): string[] {
    return this.#set ? Object.keys(this.#set) : []
  }

  removeHeader(name: string): void {
    if (this.#set) delete this.#set[name.toLowerCase()]
  }

  /** A last chunk goes out with the mark that it is the last. */
  override end(done?: () => void): this
  override end(chunk: unknown, done?: () => void): this
  override end(chunk: unknown, encoding: BufferEncoding, done?: () => void): this
  override end(chunk?: unknown, encoding?: unknown, done?: unknown): this {
    const isData = typeof chunk === 'string' || Buffer.isBuffer(chunk)
    this.#nextIsLast = isData && chunk.length > 0 && this.writableLength === 0
    return super.end(chunk, encoding as BufferEncoding, done as () => void)
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    if (this.#hasNoBody) return done()
    const sent = (error?: Error | null) => {
      if (!error) this.#sentBytes += chunk.length
      done(error)
    }
    this.#stream.write(chunk, sent)
    // Its callback is not waited for: a stream that closes as soon as it has ended would call it an error.
    if (this.#nextIsLast) this.#stream.end()
  }

  override _final(done: Done): void {
    if (!this.headersSent) this.writeHead(this.statusCode, {})
    if (!this.#hasNoBody && !this.#nextIsLast) this.#stream.end()
    done()
  }

  /** Its stream has sent all but them. */
  sendTrailers(): void {
    if (this.#stream.destroyed) return
    try {
      this.#stream.sendTrailers(asFields(this.#trailers)) // without any, only the end
    } catch {
      this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR) // one that Node does not send, such as two of what may come once
    }
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.writableFinished) this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    else if (!this.req.complete) this.#refuseRest()
    done(error)
  }

  /** The answer is whole and the caller still sends: it need not (RFC 9113 §8.1). What is on its way may arrive first. */
  #refuseRest(): void {
    const timer = setTimeout(() => this.#stream.close(constants.NGHTTP2_NO_ERROR), lingerMs).unref()
    this.#stream.once('close', () => clearTimeout(timer))
  }
}

const lingerMs = 200

const flat = (headers: OutgoingHttpHeaders): string[] => {
  const list: string[] = []
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined) continue
    for (const one of Array.isArray(value) ? value : [value])
      list.push(name.toLowerCase(), String(one))
  }
  return list
}

const asFields = (flat: readonly string[]): OutgoingHttpHeaders => {
  const fields: Record<string, string[]> = Object.create(null)
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const name = flat[i] as string
    fields[name] = [...(fields[name] ?? []), flat[i + 1] as string]
  }
  return fields
}

/** RFC 9113 §8.2.2: an answer with one of these is malformed. */
const aboutConnection: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])

// eslint-disable-next-line no-control-regex -- it is controls that are meant
const notInValue = /[^\t\x20-\x7e\x80-\xff]/
