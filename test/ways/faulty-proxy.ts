import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** What stands in the way: nothing, a process that is gone, one that hangs, one that talks rubbish. */
export type Fault = 'none' | 'killed' | 'hanging' | 'corrupt'

export type FaultyProxy = {
  readonly port: number
  readonly set: (fault: Fault) => Promise<void>
  readonly close: () => Promise<void>
}

const rubbish = Buffer.from(Array.from({ length: 512 }, (_, i) => (i * 89 + 17) % 256))

/** Stands before a server and takes it away in one way or another, also from those who are connected. */
export const faultyProxy = async (target: number): Promise<FaultyProxy> => {
  let fault: Fault = 'none'
  const pairs = new Set<readonly [Socket, Socket]>()
  const server = createServer((caller) => {
    const service = connect(target, '127.0.0.1')
    const pair = [caller, service] as const
    pairs.add(pair)
    for (const [from, to] of [pair, [service, caller] as const]) {
      from.on('error', () => {})
      from.on('close', () => {
        to.destroy()
        pairs.delete(pair)
      })
      from.on('data', (bytes) => {
        if (fault === 'none') to.write(bytes)
        else if (fault === 'corrupt') caller.write(rubbish)
      })
    }
  })
  const listen = async (port: number) => {
    await once(server.listen(port, '127.0.0.1'), 'listening')
    return (server.address() as AddressInfo).port
  }
  /** Not one that the system gives to whoever asks for any: while it is killed, somebody else would have its port. */
  const listenAnywhere = async (): Promise<number> => {
    for (;;)
      try {
        return await listen(randomInt(10_000, 32_000))
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause
      }
  }
  const cutAll = () => {
    for (const pair of pairs) for (const socket of pair) socket.destroy()
  }
  const stop = async () => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    cutAll()
    await closed
  }
  const port = await listenAnywhere()
  return {
    port,
    set: async (next) => {
      if (fault === 'hanging' || fault === 'corrupt') cutAll() // what it was in the middle of is of no use any more
      fault = next
      if (next === 'killed') await stop()
      else if (!server.listening) await listen(port)
    },
    close: stop,
  }
}
