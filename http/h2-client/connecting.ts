import type { Duplex } from 'node:stream'
import { type Inlet, newInlet } from './open-connection.ts'
import type { Connect, Connected } from './options.ts'

export type ConnectFault = {
  readonly kind: 'unreachable' | 'identity-wrong' | 'timeout'
  readonly cause: unknown
}

export type Attempt = { readonly cancel: (cause: Error) => void }

export type Trying = {
  readonly connect: Connect
  readonly timeoutMs: number
  /** Given, it is the `onread` buffer of each connection. */
  readonly readBuffer?: Buffer
  /** Why a socket is of no use after all. */
  readonly misfit: (socket: Duplex) => string | undefined
}

/**
 * Tries to connect, for so long. Exactly one of the two functions is called, once, and never before this returned; a
 * socket that comes too late is destroyed.
 */
export const tryToConnect = (
  { connect, timeoutMs, misfit, readBuffer }: Trying,
  onSocket: (socket: Duplex, inlet: Inlet) => void,
  onFault: (fault: ConnectFault) => void,
): Attempt => {
  const inlet = newInlet(readBuffer)
  const controller = new AbortController()
  let settled = false

  const fail = (fault: ConnectFault) => {
    if (settled) return
    settled = true
    clearTimeout(timer)
    controller.abort(fault.cause)
    onFault(fault)
  }
  const timer = setTimeout(
    () => fail({ kind: 'timeout', cause: new Error(`no connection for ${timeoutMs} ms`) }),
    timeoutMs,
  )

  const take = (socket: Duplex) => {
    if (settled || socket.destroyed) {
      // Late, or gone already: what it still has to say is of no use.
      socket.on('error', () => {})
      socket.destroy()
      fail({ kind: 'unreachable', cause: new Error('the connection was closed at once') })
      return
    }
    const reason = misfit(socket)
    if (reason !== undefined) {
      socket.on('error', () => {})
      socket.destroy()
      fail({ kind: 'unreachable', cause: new Error(reason) })
    } else {
      settled = true
      clearTimeout(timer)
      onSocket(socket, inlet)
    }
  }

  // Within a promise, so that a connect which throws at once is no different from one that rejects.
  new Promise<Connected>((resolve) => {
    resolve(connect({ onread: inlet.onread, signal: controller.signal }))
  }).then(
    (connected) => {
      if (connected.ok) take(connected.socket)
      else fail({ kind: connected.kind, cause: connected.cause })
    },
    // A rejection is as good as a refusal: nobody was reached.
    (cause: unknown) => fail({ kind: 'unreachable', cause }),
  )
  return { cancel: (cause) => fail({ kind: 'unreachable', cause }) }
}
