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

/** Looks at what comes from the upstream before it goes on. */
export type UpstreamWatch = {
  /** What of it may go on by now, or what stands against all of it. */
  readonly in: (chunk: Buffer) => Buffer | { readonly problem: Problem }
  /** What was held back, once all is here. */
  readonly rest?: () => Buffer
}

/** What is written already may still go out so long, once the other end has closed. */
const lingerMs = 2000

/**
 * Passes all that comes on one of two connections to the other, both ways, until both are closed. Who does not read holds
 * the other one back: no more is held here than the buffers of two sockets.
 *
 * @param idleTimeoutMs When nothing has moved for so long, both are cut with `connection-idle`. 0: never.
 */
export const joinSockets = (
  caller: Duplex,
  upstream: Duplex,
  idleTimeoutMs: number,
  watch?: UpstreamWatch,
): Joined => {
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
  const bytesToCaller = pass(upstream, caller, moved, watch && { ...watch, refuse: cut })

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
const pass = (
  from: Duplex,
  to: Duplex,
  moved: () => void,
  watch?: UpstreamWatch & { readonly refuse: (problem: Problem) => void },
): (() => number) => {
  let bytes = 0
  from.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    moved()
    const through = watch ? watch.in(chunk) : chunk
    if (!Buffer.isBuffer(through)) return watch?.refuse(through.problem)
    if (through.length > 0 && !to.write(through)) from.pause()
  })
  to.on('drain', () => {
    moved()
    from.resume()
  })
  from.on('error', () => {}) // its 'close' follows
  from.on('end', () => {
    const rest = watch?.rest?.()
    if (rest && rest.length > 0) to.end(rest)
    else to.end()
  })
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
