import { type Attempt, type ConnectFault, tryToConnect } from '../h2-client/connecting.ts'
import type { Connect } from '../h2-client/options.ts'
import { newTicker } from '../h2-client/ticker.ts'
import type { UpstreamClient, UpstreamFault } from '../upstream-client.ts'
import { headReader } from './head-memo.ts'
import { type Connection, openConnection } from './connection.ts'
import { type Exchange, failExchange } from './exchange.ts'

export type PoolLimits = {
  readonly maxConnections: number
  /** Requests that wait for a connection; more are refused as `busy`. */
  readonly maxQueued: number
  readonly connectTimeoutMs: number
  /** A connection without requests is closed after this, or before the peer says that it closes it. */
  readonly idleConnectionMs: number
}

export type Pool = Pick<UpstreamClient, 'close' | 'destroy' | 'stats'> & {
  /** Puts a request on a connection or into the queue; a fault says that neither was possible. */
  readonly place: (exchange: Exchange, nowMs: number) => UpstreamFault | undefined
  readonly abort: (exchange: Exchange, cause: Error) => void
  readonly resume: (exchange: Exchange) => void
}

/** The connections to one peer; another is opened when all have a request. */
export const newPool = (connect: Connect, limits: PoolLimits): Pool => {
  const { maxConnections, maxQueued, connectTimeoutMs, idleConnectionMs } = limits
  const parseHead = headReader()
  const trying = {
    connect,
    timeoutMs: connectTimeoutMs,
    misfit: () => undefined,
    // What is read is handled before anything else is read, so one serves all connections.
    readBuffer: Buffer.allocUnsafeSlow(readBufferBytes),
  }
  let connections: readonly Connection[] = []
  /** The one that was used last is used next, so that those that are too many grow old. */
  const idle: Connection[] = []
  let freed: Connection[] = []
  const attempts = new Set<Attempt>()
  let queue: Exchange[] = []
  let closing: 'no' | 'asked' | 'done' = 'no'
  let tellClosed: (() => void)[] = []

  /** The one that waits longest. */
  const next = (): Exchange | undefined => {
    while (queue.length > 0) {
      const first = queue.shift()
      if (first?.state === 'queued') return first
    }
    return undefined
  }
  /** Of those given up while they waited only a gap is left; it is closed when somebody looks. */
  const purge = () => {
    queue = queue.filter(({ state }) => state === 'queued')
  }
  const failQueue = (fault: UpstreamFault) => {
    const failed = queue
    queue = []
    for (const exchange of failed) failExchange(exchange, fault)
  }

  const takeIdle = (nowMs: number): Connection | undefined => {
    for (let last = idle.pop(); last !== undefined; last = idle.pop()) {
      if (last.keptUntilMs() > nowMs) return last
      last.destroy(idleTooLong)
    }
    return undefined
  }

  const give = (connection: Connection) => {
    const exchange = next()
    if (exchange) connection.start(exchange, performance.now())
    else idle.push(connection)
  }

  /**
   * In the turn in which its answer ended it is not used again: what comes right behind an answer is none to the next
   * request, and ends the connection.
   */
  const giveFreed = () => {
    const all = freed
    freed = []
    for (const connection of all) if (connection.isOpen()) give(connection)
    reach()
    settle()
  }

  /** One for each that waits, within the limit. Those that are free in the next turn are not waited for in vain. */
  const reach = () => {
    if (queue.length > attempts.size + freed.length) purge()
    while (
      attempts.size + freed.length < queue.length &&
      connections.length + attempts.size < maxConnections
    )
      dial()
  }

  const dial = () => {
    const attempt = tryToConnect(
      trying,
      (socket, inlet) => {
        attempts.delete(attempt)
        const connection = openConnection(socket, inlet, idleConnectionMs, parseHead, {
          free: (one) => {
            if (freed.push(one) === 1) setImmediate(giveFreed)
          },
          gone,
        })
        connections = [...connections, connection]
        give(connection)
        settle()
      },
      (fault) => {
        attempts.delete(attempt)
        unreachable(fault)
      },
    )
    attempts.add(attempt)
  }

  /** Without a connection, or hope of one, nobody waits longer; else the one does for whom it was to be. */
  const unreachable = (fault: ConnectFault) => {
    if (connections.length + attempts.size === 0) failQueue({ ...fault, unsent: true })
    else {
      const first = next()
      if (first) failExchange(first, { ...fault, unsent: true })
    }
    reach()
    settle()
  }

  const gone = (connection: Connection) => {
    connections = connections.filter((each) => each !== connection)
    const at = idle.indexOf(connection)
    if (at >= 0) idle.splice(at, 1)
    reach()
    settle()
  }

  const tick = (nowMs: number): 'busy' | 'idle' => {
    for (const connection of connections) connection.checkDeadline(nowMs)
    for (const connection of idle.filter((each) => each.keptUntilMs() <= nowMs))
      connection.destroy(idleTooLong)
    for (const exchange of queue) expire(exchange, nowMs)
    purge()
    const isBusy = connections.length > idle.length || attempts.size > 0 || queue.length > 0
    return isBusy ? 'busy' : 'idle'
  }
  const ticker = newTicker(tick, idleConnectionMs)

  /** Once closing: lets the connections go when nothing waits, and tells when the last is gone. */
  const settle = () => {
    if (closing === 'no') return
    purge()
    if (queue.length > 0) return
    for (const attempt of attempts) attempt.cancel(new Error('the client is closed'))
    for (const connection of idle.slice()) connection.destroy(new Error('the client is closed'))
    if (connections.length + attempts.size > 0) return
    closing = 'done'
    ticker.stop()
    const told = tellClosed
    tellClosed = []
    for (const tell of told) tell()
  }

  return {
    place: (exchange, nowMs) => {
      if (closing !== 'no')
        return { kind: 'unreachable', cause: new Error('the client is closed'), unsent: true }
      ticker.wake()
      const free = takeIdle(nowMs)
      if (free) {
        free.start(exchange, nowMs)
        return undefined
      }
      if (queue.length >= maxQueued) purge()
      if (queue.length >= maxQueued)
        return {
          kind: 'busy',
          cause: new Error('all connections and the queue are full'),
          unsent: true,
        }
      queue.push(exchange)
      reach()
      return undefined
    },
    abort: (exchange, cause) => {
      const unsent = exchange.state === 'queued'
      const connection = connectionOf(connections, exchange)
      failExchange(exchange, { kind: 'aborted', cause, unsent })
      connection?.destroy(cause)
    },
    resume: (exchange) => connectionOf(connections, exchange)?.resume(),
    close: () =>
      new Promise((resolve) => {
        tellClosed.push(resolve)
        if (closing === 'no') closing = 'asked'
        settle()
      }),
    destroy: (cause) => {
      closing = 'asked'
      failQueue({ kind: 'unreachable', cause, unsent: true })
      for (const connection of connections) connection.destroy(cause)
      settle()
    },
    stats: () => {
      purge()
      return {
        open: connections.length,
        connecting: attempts.size,
        inFlight: connections.filter((each) => each.exchange() !== undefined).length,
        queued: queue.length,
      }
    },
  }
}

const readBufferBytes = 65_536
const idleTooLong = new Error('it was idle for long enough')

/** Seldom asked: who pauses or leaves looks for where it is. */
const connectionOf = (
  connections: readonly Connection[],
  exchange: Exchange,
): Connection | undefined => connections.find((each) => each.exchange() === exchange)

const expire = (exchange: Exchange, nowMs: number): void => {
  const limitMs = exchange.request.headersTimeoutMs
  if (limitMs > 0 && nowMs - exchange.progressMs > limitMs)
    failExchange(exchange, {
      kind: 'timeout',
      cause: new Error(`no connection for ${limitMs} ms`),
      unsent: true,
    })
}
