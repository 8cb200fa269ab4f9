import type { ClientHttp2Session } from 'node:http2'
import { setTimeout as sleep } from 'node:timers/promises'
import { h2Client } from '#test/http/h2-server/h2-edge'
import type { Load, LoadOptions } from './load.ts'

/** REFUSED_STREAM: nobody has looked at it, so it may be sent again (RFC 9113 §8.7). */
const refusedStream = 7

/**
 * The load of `load.ts` over HTTP/2, all callers on one connection. A request of which the other side says that nobody has
 * looked at it is sent again on another connection, as every client does.
 */
export const startH2Load = (options: LoadOptions): Load & { readonly sentAgain: () => number } => {
  const statuses: Record<string, number> = {}
  const lost: string[] = []
  let refused = 0
  let sentAgain = 0
  let longestMs = 0
  let current: { readonly session: ClientHttp2Session; isConnected: boolean } | undefined
  const stopping = new AbortController()

  const connection = () => {
    if (current && !current.session.closed && !current.session.destroyed) return current
    const made = { session: h2Client(options.port, options.ca), isConnected: false }
    made.session.once('connect', () => (made.isConnected = true))
    current = made
    return made
  }
  /** Resolves to whether it is to be sent again. */
  const once = () =>
    new Promise<boolean>((resolve) => {
      const began = performance.now()
      const at = connection()
      let status = 0
      let isWhole = false
      const stream = at.session.request({ ':path': options.path, ...options.headers })
      stream.once('response', (headers) => (status = Number(headers[':status'])))
      stream.once('end', () => (isWhole = status > 0 && stream.rstCode === 0))
      stream.on('error', () => {})
      stream.once('close', () => {
        if (isWhole) {
          longestMs = Math.max(longestMs, performance.now() - began)
          statuses[String(status)] = (statuses[String(status)] ?? 0) + 1
          return resolve(false)
        }
        if (!at.isConnected) refused += 1
        else if (stream.rstCode === refusedStream) {
          sentAgain += 1
          return resolve(true)
        } else lost.push(`reset with ${stream.rstCode}, status ${status}`)
        resolve(false)
      })
      stream.resume()
    })
  const caller = async () => {
    while (!stopping.signal.aborted) {
      while (await once());
      if (options.pauseMs > 0) await sleep(options.pauseMs)
    }
  }
  const all = Array.from({ length: options.callers }, caller)
  return {
    statuses,
    lost,
    refused: () => refused,
    sentAgain: () => sentAgain,
    longestMs: () => longestMs,
    answered: () => Object.values(statuses).reduce((sum, count) => sum + count, 0),
    stop: async () => {
      stopping.abort()
      await Promise.all(all)
      current?.session.destroy()
    },
  }
}
