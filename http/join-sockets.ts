import type { Duplex } from 'node:stream'
import type { Problem } from '#contract/problem'

export type Joined = {
  /** Resolves when both are closed; never rejects. */
  readonly closed: Promise<JoinedEnd>
  /** Ends both now. */
  readonly cut: (problem: Problem) => void
}

export type JoinedEnd = {
  readonly bytesFromCaller: number
  readonly bytesToCaller: number
  /** What ended them, unless one of them did it. */
  readonly problem?: Problem
}

/** What is written already may still go out so long, once the other end has closed. */
const lingerMs = 2000

/**
 * Passes all that comes on one of two connections to the other, both ways, until both are closed. Who does not read holds
 * the other one back: no more is held here than the buffers of two sockets.
 *
 * @param idleTimeoutMs When nothing has moved for so long, both are cut with `connection-idle`. 0: never.
 */
export const joinSockets = (caller: Duplex, upstream: Duplex, idleTimeoutMs: number): Joined => {
  let problem: Problem | undefined
  const cut = (given: Problem) => {
    problem ??= given
    caller.destroy()
    upstream.destroy()
  }
  const idle = idleTimeoutMs
    ? setTimeout(() => cut({ tag: 'connection-idle' }), idleTimeoutMs)
    : undefined
  const moved = () => void idle?.refresh()
  const bytesFromCaller = pass(caller, upstream, moved)
  const bytesToCaller = pass(upstream, caller, moved)

  const closed = Promise.all([whenClosed(caller), whenClosed(upstream)]).then((): JoinedEnd => {
    clearTimeout(idle)
    return {
      bytesFromCaller: bytesFromCaller(),
      bytesToCaller: bytesToCaller(),
      ...(problem ? { problem } : {}),
    }
  })
  return { closed, cut }
}

/** @returns How much went through so far. */
const pass = (from: Duplex, to: Duplex, moved: () => void): (() => number) => {
  let bytes = 0
  from.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    moved()
    if (!to.write(chunk)) from.pause()
  })
  to.on('drain', () => {
    moved()
    from.resume()
  })
  from.on('error', () => {}) // its 'close' follows
  from.on('end', () => to.end())
  const finish = () => {
    if (to.destroyed) return
    const end = () => to.destroy()
    const timer = setTimeout(end, lingerMs)
    to.once('close', () => clearTimeout(timer)).end(end)
  }
  if (from.destroyed) finish()
  else from.once('close', finish)
  from.resume()
  return () => bytes
}

const whenClosed = (socket: Duplex): Promise<void> =>
  socket.closed
    ? Promise.resolve()
    : new Promise((resolve) => socket.once('close', () => resolve()))
