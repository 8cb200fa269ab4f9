import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import type { UpstreamClient, UpstreamFault } from '../upstream-client.ts'
import type { AnswerDecoder } from './answer-decoder.ts'
import { backoff } from './backoff.ts'
import { drain, lose } from './closing.ts'
import { type Attempt, type ConnectFault, tryToConnect } from './connecting.ts'
import type { Connection, ConnectionEvents } from './connection.ts'
import { checkDeadlines } from './deadlines.ts'
import { type Exchange, failExchange } from './exchange.ts'
import { openConnection } from './open-connection.ts'
import type { Connect, H2Limits } from './options.ts'
import { newQueue } from './queue.ts'
import { hasRoom, startStream } from './streams.ts'
import { newTicker } from './ticker.ts'

export type Pool = Pick<UpstreamClient, 'close' | 'destroy' | 'stats'> & {
  /** Puts a request on a connection or into the queue; a fault says that neither was possible. */
  readonly place: (exchange: Exchange, nowMs: number) => UpstreamFault | undefined
}

/** How often a request is put on a connection: once more than the first time, if the peer did not process it. */
const maxAttempts = 2

/** The connections to one peer: as few as carry what is asked for, opened one after the other. */
export const newPool = (connect: Connect, limits: H2Limits, decoder: AnswerDecoder): Pool => {
  /** All that are not closed, the draining ones included. */
  let connections: readonly Connection[] = []
  let attempt: Attempt | undefined
  let closing: 'no' | 'asked' | 'done' = 'no'
  let tellClosed: (() => void)[] = []
  const queue = newQueue(limits.maxQueued)
  const trying = { connect, timeoutMs: limits.connectTimeoutMs, misfit: withoutH2 }
  const pause = backoff(limits.firstBackoffMs, limits.longestBackoffMs)

  const isOpen = (connection: Connection) => connection.state === 'open'
  const nothingOpen = () => !connections.some(isOpen)

  const tick = (nowMs: number): 'busy' | 'idle' => {
    for (const connection of connections) {
      checkDeadlines(connection, nowMs)
      const isIdle = connection.inFlight === 0 && isOpen(connection)
      if (isIdle && nowMs - connection.idleSinceMs >= limits.idleConnectionMs) drain(connection)
    }
    queue.expire(nowMs)
    serve()
    const isBusy = connections.some((connection) => connection.inFlight > 0)
    return isBusy || attempt !== undefined || queue.size() > 0 ? 'busy' : 'idle'
  }
  const ticker = newTicker(tick, limits.idleConnectionMs)

  const withRoom = (): Connection | undefined => {
    for (const connection of connections) if (hasRoom(connection)) return connection
    return undefined
  }

  /** Opens one more connection, if that is allowed now; one at a time. */
  const reach = (nowMs: number) => {
    const open = connections.filter(isOpen)
    if (attempt !== undefined || open.length >= limits.maxConnections) return
    // One that has not said yet how much it takes may take it all.
    if (open.some(({ settingsReceived }) => !settingsReceived)) return
    // Draining ones count too, at another limit: a peer that closes each connection at once must not pile them up.
    if (connections.length >= 2 * limits.maxConnections) return
    if (pause.reason(nowMs) !== undefined) return
    attempt = tryToConnect(trying, onSocket, onFault)
  }

  const onSocket: Parameters<typeof tryToConnect>[1] = (socket, inlet) => {
    attempt = undefined
    const connection = openConnection(socket, inlet, limits, decoder, events)
    // What the peer had said already may have ended it: then it is gone before it was here.
    if (connection.state !== 'closed') connections = [...connections, connection]
    serve()
  }

  const onFault = (fault: ConnectFault) => {
    attempt = undefined
    pause.failed(fault, performance.now())
    if (nothingOpen()) queue.failAll({ ...fault, unsent: true })
    settle()
  }

  /** Starts what waits, as far as there is room, and asks for more room if there is not. */
  const serve = () => {
    const nowMs = performance.now()
    for (let room = withRoom(); room !== undefined; room = withRoom()) {
      const next = queue.take()
      if (next === undefined) break
      startStream(room, next, nowMs)
    }
    if (!queue.isEmpty()) {
      const reason = nothingOpen() && attempt === undefined ? pause.reason(nowMs) : undefined
      if (reason !== undefined) queue.failAll({ ...reason, unsent: true })
      else reach(nowMs)
    }
    settle()
  }

  const place = (exchange: Exchange, nowMs: number): UpstreamFault | undefined => {
    if (closing !== 'no')
      return { kind: 'unreachable', cause: new Error('the client is closed'), unsent: true }
    const room = withRoom()
    ticker.wake()
    if (room !== undefined) {
      startStream(room, exchange, nowMs)
      return undefined
    }
    const reason = nothingOpen() && attempt === undefined ? pause.reason(nowMs) : undefined
    if (reason !== undefined) return { ...reason, unsent: true }
    if (!queue.add(exchange))
      return {
        kind: 'busy',
        cause: new Error('every connection and the queue are full'),
        unsent: true,
      }
    reach(nowMs)
    return undefined
  }

  const events: ConnectionEvents = {
    room: () => {
      if (!queue.isEmpty() || closing === 'asked') serve()
    },
    proved: pause.succeeded,
    resend: (exchange, cause) => {
      if (closing === 'done') failExchange(exchange, { kind: 'unreachable', cause, unsent: true })
      else if (exchange.attempts >= maxAttempts)
        failExchange(exchange, { kind: 'busy', cause, unsent: true })
      else if (queue.add(exchange)) serve()
      else failExchange(exchange, { kind: 'busy', cause, unsent: true })
    },
    gone: (connection, cause) => {
      connections = connections.filter((each) => each !== connection)
      if (cause !== undefined && !connection.proved && closing !== 'done')
        pause.failed({ kind: 'unreachable', cause }, performance.now())
      serve()
    },
  }

  /** Once closing: lets the connections go when nothing waits, and tells when the last is gone. */
  const settle = () => {
    if (closing === 'no' || queue.size() > 0) return
    if (attempt !== undefined) {
      const { cancel } = attempt
      attempt = undefined
      cancel(new Error('the client is closed'))
    }
    for (const connection of connections) drain(connection)
    if (connections.length > 0) return
    closing = 'done'
    ticker.stop()
    const told = tellClosed
    tellClosed = []
    for (const tell of told) tell()
  }

  return {
    place,
    close: () =>
      new Promise((resolve) => {
        tellClosed.push(resolve)
        if (closing === 'no') closing = 'asked'
        settle()
      }),
    destroy: (cause) => {
      closing = 'done'
      queue.failAll({ kind: 'unreachable', cause, unsent: true })
      for (const connection of connections) lose(connection, cause)
      settle()
    },
    stats: () => ({
      open: connections.filter(isOpen).length,
      connecting: attempt === undefined ? 0 : 1,
      inFlight: connections.reduce((sum, { inFlight }) => sum + inFlight, 0),
      queued: queue.size(),
    }),
  }
}

const withoutH2 = (socket: Duplex): string | undefined =>
  socket instanceof TLSSocket && socket.alpnProtocol !== 'h2'
    ? 'the peer did not agree on h2'
    : undefined
