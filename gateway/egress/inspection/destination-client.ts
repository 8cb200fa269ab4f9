import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Result } from '#contract/problem'
import { h2Client, type Connect } from '#http/h2-client/h2-client'
import type { UpstreamClient } from '#http/upstream-client'
import { http1Client, type UpgradingClient } from '../../upstream/undici-client.ts'
import { hostHeader, type Authority } from '../authority.ts'
import type { Connection } from '../connect.ts'
import { DialFault } from '../dial-fault.ts'

export type DestinationClientOptions = {
  readonly authority: Authority
  /** Made when the tunnel was asked for; it carries the first requests. */
  readonly first: Socket
  /** Opens another one to the same place, judged anew. */
  readonly open: (alpn: readonly string[], signal: AbortSignal) => Promise<Result<Connection>>
}

/** An idle connection may be ended by its other end just when it is used; that of most is kept at least so long. */
const idleMs = 4000
/** For requests at one time over HTTP/1.1, which HTTP/2 of a workload may send. */
const maxHttp1Connections = 16
const maxHttp2Connections = 2
const maxRequests = 128

/**
 * Requests to the destination of one inspected tunnel, over connections that are its own: none is ever shared with another
 * tunnel, so none with another workload. Speaks what the destination chose for the first one (ALPN).
 */
export const destinationClient = ({
  authority,
  first,
  open,
}: DestinationClientOptions): UpgradingClient => {
  const chosen = (first as TLSSocket).alpnProtocol === 'h2' ? 'h2' : 'http/1.1'
  const ended = new AbortController()
  const untilMs = performance.now() + idleMs
  let spare: Socket | undefined = first

  const connection = async (
    alpn: string,
    signal: AbortSignal,
  ): Promise<Result<{ socket: Socket }>> => {
    if (alpn === chosen && spare) {
      const socket = spare
      spare = undefined
      if (!socket.destroyed && performance.now() < untilMs) return { ok: true, value: { socket } }
      socket.destroy()
    }
    const opened = await open([alpn], signal)
    if (!opened.ok) return opened
    const { socket } = opened.value
    if (alpn !== 'h2' || (socket as TLSSocket).alpnProtocol === 'h2') return opened
    socket.destroy()
    return { ok: false, problem: { tag: 'destination-broken', cause: 'no HTTP/2 any more' } }
  }
  const connect: Connect = async ({ signal }) => {
    const got = await connection('h2', AbortSignal.any([signal, ended.signal]))
    return got.ok
      ? { ok: true, socket: got.value.socket }
      : { ok: false, kind: 'unreachable', cause: new DialFault(got.problem) }
  }

  const overHttp1 = once(() =>
    http1Client({
      origin: `https://${hostHeader(authority, httpsPort)}`,
      maxConnections: maxHttp1Connections,
      idleMs,
      connect: (_ignored, callback) => {
        connection('http/1.1', ended.signal).then(
          (got) =>
            got.ok ? callback(null, got.value.socket) : callback(new DialFault(got.problem), null),
          (cause: Error) => callback(cause, null),
        )
      },
    }),
  )
  const limits = { maxConnections: maxHttp2Connections, maxQueued: maxRequests }
  const main: UpstreamClient = chosen === 'h2' ? h2Client({ connect, limits }) : overHttp1.get()

  const all = () => [...new Set([main, ...overHttp1.made()])]
  return {
    dispatch: main.dispatch,
    upgrade: (request, handler) => overHttp1.get().upgrade(request, handler),
    close: () => Promise.all(all().map((client) => client.close())).then(() => {}),
    destroy: (cause) => {
      ended.abort('gone')
      spare?.destroy()
      for (const client of all()) client.destroy(cause)
    },
    stats: main.stats,
  }
}

const httpsPort = 443

const once = <T>(make: () => T) => {
  let made: T | undefined
  return { get: () => (made ??= make()), made: (): readonly T[] => (made ? [made] : []) }
}
