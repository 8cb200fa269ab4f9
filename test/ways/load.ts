import { Agent, request } from 'node:https'
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { setTimeout as sleep } from 'node:timers/promises'

export type LoadOptions = {
  readonly port: number
  readonly ca: string
  readonly path: string
  /** Each sends its next request when it has its answer. */
  readonly callers: number
  /** Between the requests of one caller. */
  readonly pauseMs: number
  readonly headers?: Record<string, string>
}

export type Load = {
  /** Answers by status so far. */
  readonly statuses: Record<string, number>
  /** Requests that were sent and have no whole answer. */
  readonly lost: string[]
  /** Connections that could not be had; nothing was sent on them. */
  readonly refused: () => number
  readonly answered: () => number
  readonly longestMs: () => number
  /** Lets what is under way finish. */
  readonly stop: () => Promise<void>
}

/** A steady light load on kept connections, counted to the last request. */
export const startLoad = (options: LoadOptions): Load => {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: options.callers,
    ca: options.ca,
    servername: 'localhost',
  })
  const statuses: Record<string, number> = {}
  const lost: string[] = []
  let refused = 0
  let longestMs = 0
  const stopping = new AbortController()

  const once = () =>
    new Promise<void>((resolve) => {
      let isConnected = false
      const began = performance.now()
      const fail = (error: NodeJS.ErrnoException) => {
        if (isConnected) lost.push(error.code ?? error.message)
        else refused += 1
        resolve()
      }
      const req = request(
        {
          host: '127.0.0.1',
          port: options.port,
          path: options.path,
          agent,
          headers: { host: 'localhost', ...options.headers },
        },
        (res: IncomingMessage) => {
          res.once('error', fail)
          res.once('end', () => {
            longestMs = Math.max(longestMs, performance.now() - began)
            statuses[String(res.statusCode)] = (statuses[String(res.statusCode)] ?? 0) + 1
            resolve()
          })
          res.resume()
        },
      )
      req.once('socket', (socket: TLSSocket) => {
        // Only the head of a request that goes out after the handshake can be lost.
        if (socket.getProtocol() !== null && !socket.connecting && socket.authorized)
          isConnected = true
        else socket.once('secureConnect', () => (isConnected = true))
      })
      req.once('error', fail)
      req.end()
    })
  const caller = async () => {
    while (!stopping.signal.aborted) {
      await once()
      if (options.pauseMs > 0) await sleep(options.pauseMs)
    }
  }
  const all = Array.from({ length: options.callers }, caller)
  return {
    statuses,
    lost,
    refused: () => refused,
    longestMs: () => longestMs,
    answered: () => Object.values(statuses).reduce((sum, count) => sum + count, 0),
    stop: async () => {
      stopping.abort()
      await Promise.all(all)
      agent.destroy()
    },
  }
}
