import type { Readable } from 'node:stream'
import { ignoreFurtherErrors } from '../ignore-error.ts'
import type { Connection } from './connection.ts'
import type { Exchange } from './exchange.ts'
import { frameHeader } from './frame-writer.ts'
import { pendingBytes, scheduleFlush, send, sendBytes } from './output.ts'
import { defaultMaxFrameBytes, flag, frameType } from './protocol.ts'

/** A request's body on its way out over one connection; sent again, the request gets another. */
export type Upload = {
  readonly exchange: Exchange
  readonly source: Readable | undefined
  /** Whether anything was taken from `source`: after that, the request cannot be sent a second time. */
  sourceWasRead: boolean
  sourceEnded: boolean
  /** What is being sent, from `offset` on. */
  chunk: Buffer | undefined
  offset: number
  sentBytes: number
  /** Waits for `source`. */
  starved: boolean
  /** Stands in the connection's `sending`. */
  queued: boolean
  finished: boolean
  readonly onBroken: (cause: Error) => void
  detach: () => void
}

/** How much of bodies goes into one turn, so that answers are read in between. */
const maxBytesPerTurn = 262_144
/** How many WINDOW_UPDATEs may well answer one frame: some peers send two for each small read of their application. */
const windowUpdatesPerFrame = 16
const nothing = () => {}

/**
 * Begins to send a body.
 *
 * @param onBroken The source ended before its end, or is not as long as Content-Length says.
 */
export const startUpload = (
  connection: Connection,
  exchange: Exchange,
  body: Buffer | Readable,
  onBroken: (cause: Error) => void,
): void => {
  const whole = Buffer.isBuffer(body)
  const upload: Upload = {
    exchange,
    source: whole ? undefined : body,
    sourceWasRead: false,
    sourceEnded: whole,
    chunk: whole ? body : undefined,
    offset: 0,
    sentBytes: 0,
    starved: false,
    queued: false,
    finished: false,
    onBroken,
    detach: nothing,
  }
  exchange.upload = upload
  if (!whole) listen(connection, upload, body)
  enqueueUpload(connection, upload)
}

const listen = (connection: Connection, upload: Upload, source: Readable): void => {
  const readable = () => {
    upload.starved = false
    enqueueUpload(connection, upload)
  }
  const end = () => {
    upload.sourceEnded = true
    readable()
  }
  const broken = (cause?: Error) => {
    if (!upload.sourceEnded && !upload.finished)
      upload.onBroken(cause ?? new Error('the body of the request broke off'))
  }
  source.on('error', broken).on('readable', readable).on('end', end).on('close', broken)
  const detach = () => {
    source.off('readable', readable).off('end', end).off('close', broken)
    ignoreFurtherErrors(source, broken)
    upload.detach = nothing
  }
  // Named first: V8 makes a function that is written where a property is set among its old objects at once, and all that
  // it knows would outlive each collection of young ones.
  upload.detach = detach
  if (source.readableEnded) upload.sourceEnded = true
  else if (source.destroyed) setImmediate(broken)
}

/** Sends no more of it, and reads no more of it. */
export const stopUpload = (exchange: Exchange): void => {
  const { upload } = exchange
  if (upload === undefined || upload.finished) return
  upload.finished = true
  upload.chunk = undefined
  upload.detach()
}

export const isUploading = (exchange: Exchange): boolean =>
  exchange.upload !== undefined && !exchange.upload.finished

/** Puts an exchange in line that has, or may have, something to send. */
export const enqueue = (connection: Connection, exchange: Exchange): void => {
  if (exchange.upload !== undefined) enqueueUpload(connection, exchange.upload)
}

const enqueueUpload = (connection: Connection, upload: Upload): void => {
  if (upload.queued || upload.finished || upload.starved) return
  upload.queued = true
  connection.sending.push(upload)
  scheduleFlush(connection)
}

/** Sends of each body in line one frame, in turn, until the windows or this turn's measure are full. */
export const pumpUploads = (connection: Connection): void => {
  const { sending } = connection
  while (sending.length > 0 && pendingBytes(connection) < maxBytesPerTurn) {
    const upload = sending[0] as Upload
    if (!upload.finished && upload.chunk !== undefined && connection.sendWindow <= 0) return
    sending.shift()
    upload.queued = false
    if (!upload.finished && sendFrame(connection, upload)) enqueueUpload(connection, upload)
  }
}

/** @returns Whether there may be more to send at once. */
const sendFrame = (connection: Connection, upload: Upload): boolean => {
  const { exchange } = upload
  const chunk = upload.chunk ?? nextChunk(upload)
  const declared = exchange.head.contentLength
  if (chunk === undefined) {
    if (!upload.sourceEnded) {
      upload.starved = true
      exchange.progressMs = connection.nowMs
    } else if (declared >= 0 && declared !== upload.sentBytes)
      upload.onBroken(new Error('the body of the request is shorter than its content-length'))
    else finish(connection, exchange, upload)
    return false
  }
  const left = chunk.length - upload.offset
  if (declared >= 0 && upload.sentBytes + left > declared) {
    upload.onBroken(new Error('the body of the request is longer than its content-length'))
    return false
  }
  const size = Math.min(left, connection.sendWindow, exchange.sendWindow, defaultMaxFrameBytes)
  upload.chunk = chunk
  if (size <= 0) return exchange.sendWindow > 0 // else WINDOW_UPDATE puts it back in line
  const last =
    size === left && (upload.source === undefined || upload.sentBytes + size === declared)
  connection.sendWindow -= size
  exchange.sendWindow -= size
  exchange.progressMs = connection.nowMs
  connection.overhead.give(windowUpdatesPerFrame)
  send(
    connection,
    frameHeader(size, frameType.data, last ? flag.endStream : flag.none, exchange.streamId),
  )
  sendBytes(connection, chunk.subarray(upload.offset, upload.offset + size))
  upload.sentBytes += size
  upload.offset += size
  if (size === left) upload.chunk = undefined
  if (last) stopUpload(exchange)
  return !last
}

const nextChunk = (upload: Upload): Buffer | undefined => {
  upload.offset = 0
  const { source } = upload
  if (source === undefined || upload.sourceEnded) return undefined
  for (;;) {
    const chunk: unknown = source.read()
    if (chunk === null) return undefined
    upload.sourceWasRead = true
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk as string | Uint8Array)
    if (bytes.length > 0) return bytes
  }
}

const finish = (connection: Connection, exchange: Exchange, upload: Upload): void => {
  if (upload.finished) return
  send(connection, frameHeader(0, frameType.data, flag.endStream, exchange.streamId))
  stopUpload(exchange)
}
