import type { ServerHttp2Stream } from 'node:http2'
import { ignoreError } from '../ignore-error.ts'

/** Who is told of a stream. */
export type StreamFollower = {
  readonly data: (chunk: Buffer) => void
  readonly ended: () => void
  readonly aborted: () => void
  readonly wantsTrailers: () => void
  readonly closed: () => void
}

const followerKey = Symbol('who is told of this stream')
type Followed = ServerHttp2Stream & { [followerKey]?: StreamFollower | undefined }

/**
 * Tells one follower of a stream until it has closed, of its body once that is asked for (`followBody`).
 *
 * The listeners are the same functions for all streams, and find the follower on the stream. So it can be let go at the end:
 * Node's own list of streams is a `Map`, of which the garbage collector takes for alive what has gone long ago (`contract/places.ts`),
 * and by listeners that know them a request, its answer and all that hangs on them would stay with it.
 */
export const followStream = (stream: ServerHttp2Stream, follower: StreamFollower): void => {
  ;(stream as Followed)[followerKey] = follower
  stream.on('error', ignoreError).on('aborted', onAborted).on('close', onClose)
}

export const followBody = (stream: ServerHttp2Stream): void => {
  stream.on('data', onData).on('end', onEnd)
}

export const followTrailers = (stream: ServerHttp2Stream): void => {
  stream.on('wantTrailers', onWantTrailers)
}

function onData(this: Followed, chunk: Buffer): void {
  this[followerKey]?.data(chunk)
}

function onEnd(this: Followed): void {
  this[followerKey]?.ended()
}

function onAborted(this: Followed): void {
  this[followerKey]?.aborted()
}

function onWantTrailers(this: Followed): void {
  this[followerKey]?.wantsTrailers()
}

function onClose(this: Followed): void {
  this[followerKey]?.closed()
  this[followerKey] = undefined
}
