import type { TLSSocket } from 'node:tls'
import type { Upstream } from '#config/schema'
import type {
  UpstreamClient,
  UpstreamControl,
  UpstreamHandler,
  UpstreamRequest,
} from '#http/upstream-client'
import { h1Upstream } from './h1-upstream.ts'
import { h2Upstream } from './h2-upstream.ts'
import type { UndiciClientOptions } from './undici-client.ts'

export type NegotiatedClientOptions = UndiciClientOptions & Pick<Upstream, 'protocol'>

/** A client of one endpoint, speaking what the configuration says, or what the endpoint chooses. */
export const negotiatedClient = (options: NegotiatedClientOptions): UpstreamClient => {
  switch (options.protocol) {
    case 'h2':
      return h2Upstream(options)
    case 'http1':
      return h1Upstream(options)
    case 'auto':
      return whatItChooses(options)
    default:
      return options.protocol satisfies never
  }
}

/**
 * Speaks HTTP/2 until the endpoint chooses HTTP/1.1 on a connection (ALPN), from then on HTTP/1.1: a sidecar seldom changes,
 * and the next SVID, at the latest, makes another client. Requests that waited for that connection go the other way; of
 * them nothing was sent yet.
 */
const whatItChooses = (options: UndiciClientOptions): UpstreamClient => {
  let http1: UpstreamClient | undefined
  let open = 0
  const connected = (socket: TLSSocket) => {
    if (socket.alpnProtocol !== 'h2') {
      http1 ??= h1Upstream(options)
      return
    }
    open += 1
    socket.once('close', () => {
      open -= 1
    })
  }
  const h2 = h2Upstream({ ...options, alsoOffered: ['http/1.1'], connected })

  return {
    dispatch: (request, handler) => {
      if (http1) http1.dispatch(request, handler)
      else if (open > 0) h2.dispatch(request, handler)
      else dispatchAgain(request, handler, h2, () => http1)
    },
    close: async () => {
      await h2.close()
      await http1?.close()
    },
    destroy: (cause) => {
      h2.destroy(cause)
      http1?.destroy(cause)
    },
    stats: () => {
      const [one, other] = [h2.stats(), http1?.stats()]
      if (other === undefined) return one
      return {
        open: one.open + other.open,
        connecting: one.connecting + other.connecting,
        inFlight: one.inFlight + other.inFlight,
        queued: one.queued + other.queued,
      }
    },
  }
}

/** Dispatches with `first`, and with `second` if nothing was sent since there is one by then. The handler notices nothing. */
const dispatchAgain = (
  request: UpstreamRequest,
  handler: UpstreamHandler,
  first: UpstreamClient,
  second: () => UpstreamClient | undefined,
): void => {
  let control: UpstreamControl | undefined
  let started = false
  const onStart = (given: UpstreamControl) => {
    control = given
    if (started) return
    started = true
    handler.onStart({
      abort: (cause) => control?.abort(cause),
      pause: () => control?.pause(),
      resume: () => control?.resume(),
    })
  }
  const again: UpstreamHandler = { ...handler, onStart }
  first.dispatch(request, {
    ...again,
    onError: (fault) => {
      const other = fault.unsent && fault.kind === 'unreachable' ? second() : undefined
      if (other) other.dispatch(request, again)
      else handler.onError(fault)
    },
  })
}
