import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { h1Client, type H1ClientOptions } from '#http/h1-client/h1-client'
import type { UpstreamClient } from '#http/upstream-client'
import { tcp } from '../h2-client/ask.ts'

/* A server that says whatever octets a test tells it to. */

export type Heard = {
  readonly socket: Socket
  /** How many heads this connection has brought, this one included. */
  readonly count: number
  /** The head, as latin1. */
  readonly head: string
}

export type RawPeer = {
  readonly port: number
  /** All that each connection brought, as latin1. */
  readonly brought: string[]
  readonly close: () => Promise<void>
}

/** @param answer Called for each head that has come to its end. */
export const rawPeer = async (answer: (heard: Heard) => void): Promise<RawPeer> => {
  const brought: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    const number = brought.push('') - 1
    let count = 0
    socket.setNoDelay(true).on('error', () => {})
    socket.on('data', (chunk) => {
      brought[number] += chunk.toString('latin1')
      const heads = (brought[number] ?? '').split('\r\n\r\n')
      while (count < heads.length - 1)
        answer({ socket, count: count + 1, head: heads[count++] ?? '' })
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    brought,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export const clientOf = (
  port: number,
  limits: H1ClientOptions['limits'] = {},
  by: 'onread' | 'data' = 'onread',
): UpstreamClient => h1Client({ connect: tcp(port, by), limits })
