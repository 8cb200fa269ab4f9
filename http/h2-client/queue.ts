import { type Exchange, failExchange } from './exchange.ts'
import type { UpstreamFault } from '../upstream-client.ts'

/** Requests that wait for a connection, first come, first served. */
export type Queue = {
  /** False if it is full. */
  readonly add: (exchange: Exchange) => boolean
  /** The one that waits longest, taken off; undefined if none waits. */
  readonly take: () => Exchange | undefined
  /** Cheap, but aborted ones that nobody has cleared away yet count. */
  readonly isEmpty: () => boolean
  readonly size: () => number
  readonly failAll: (fault: UpstreamFault) => void
  /** Fails those that have waited longer than they may. */
  readonly expire: (nowMs: number) => void
}

export const newQueue = (maxQueued: number): Queue => {
  let waiting: Exchange[] = []

  const isQueued = (exchange: Exchange) => exchange.state === 'queued'
  /** Aborted ones leave a gap that is closed only when someone looks. */
  const purge = () => {
    waiting = waiting.filter(isQueued)
  }

  return {
    add: (exchange) => {
      if (waiting.length >= maxQueued) purge()
      if (waiting.length >= maxQueued) return false
      waiting.push(exchange)
      return true
    },
    take: () => {
      for (;;) {
        const first = waiting.shift()
        if (first === undefined || isQueued(first)) return first
      }
    },
    isEmpty: () => waiting.length === 0,
    size: () => {
      purge()
      return waiting.length
    },
    failAll: (fault) => {
      const failed = waiting
      waiting = []
      for (const exchange of failed) failExchange(exchange, fault)
    },
    expire: (nowMs) => {
      for (const exchange of waiting.filter(isQueued)) {
        const limitMs = exchange.request.headersTimeoutMs
        if (limitMs > 0 && nowMs - exchange.progressMs > limitMs)
          failExchange(exchange, {
            kind: 'timeout',
            cause: new Error(`no connection for ${limitMs} ms`),
            unsent: true,
          })
      }
      purge()
    },
  }
}
