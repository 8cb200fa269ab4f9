import type { OnReadOpts, Socket } from 'node:net'

/**
 * Takes what was read. The memory is good until it calls `done`; what it then still needs it must have copied.
 */
export type Take = (chunk: Buffer, done: () => void) => void

/** Reads one socket. */
export type Reader = {
  /** For `net.connect`: what comes is told to `take`, and not by `data` events. */
  readonly onread: OnReadOpts
  /** From now on; what came before comes first. */
  readonly start: (socket: Socket, take: Take) => void
  /** The socket is closed. */
  readonly stop: () => void
}

export type ReadBuffers = { readonly reader: () => Reader }

const bufferBytes = 262_144
/** A read of less is copied out of the buffer that all share. */
const largeBytes = 32_768
/** Of sockets that move much at this moment, or did so last. */
const maxLent = 64
/** That nobody has at the moment. */
const maxFree = 8
const none = Buffer.alloc(0)
const nothingToDo = () => {}

/**
 * Memory that sockets read into. Node would allocate 64 KiB for each read, which costs a fast tunnel a third of its time;
 * a buffer for each of ten thousand tunnels would cost more than the tunnels. So all read into one buffer, from which each
 * copies what it got before the next one reads; only where much comes does a socket get one for itself, one of a few.
 */
export const readBuffers = (): ReadBuffers => {
  const shared = Buffer.allocUnsafeSlow(bufferBytes)
  const free: Buffer[] = []
  let lent = 0
  const lend = (): Buffer | undefined => {
    if (lent >= maxLent) return undefined
    lent += 1
    return free.pop() ?? Buffer.allocUnsafeSlow(bufferBytes)
  }
  const giveBack = (buffer: Buffer): void => {
    lent -= 1
    if (free.length < maxFree) free.push(buffer)
  }

  const reader = (): Reader => {
    let take: Take | undefined
    let early: Buffer = none
    /** The one that is read into next; undefined: the shared one. */
    let own: Buffer | undefined
    let isBusy = false
    let isStopped = false

    return {
      onread: {
        buffer: () => {
          own = isBusy && !isStopped ? lend() : undefined
          return own ?? shared
        },
        callback: (bytes) => {
          const from = own
          own = undefined
          isBusy = bytes >= largeBytes
          if (take && from && isBusy) {
            take(from.subarray(0, bytes), () => giveBack(from))
            return true
          }
          const copy = Buffer.from((from ?? shared).subarray(0, bytes))
          if (from) giveBack(from)
          if (take) take(copy, nothingToDo)
          else early = early.length > 0 ? Buffer.concat([early, copy]) : copy
          return take !== undefined // nobody wants it yet: no more is read
        },
      },
      start: (socket, given) => {
        take = given
        const first = early
        early = none
        if (first.length > 0) take(first, nothingToDo)
        socket.resume()
      },
      stop: () => {
        isStopped = true
        if (own) giveBack(own)
        own = undefined
      },
    }
  }
  return { reader }
}
