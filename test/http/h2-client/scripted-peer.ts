import { createServer, type AddressInfo, type Socket } from 'node:net'

/* A server that speaks whatever frames a test tells it to, on raw sockets, with a frame reader of its own. */

export type Frame = {
  readonly type: number
  readonly flags: number
  readonly streamId: number
  readonly payload: Buffer
}

export type PeerConnection = {
  readonly socket: Socket
  readonly frames: Frame[]
  /** Octets, as latin1. */
  readonly send: (octets: string) => void
  /** Streams whose HEADERS have come, in order. */
  readonly streams: number[]
  /** Error code of the GOAWAY that the client sent. */
  goaway: number | undefined
  readonly resets: Map<number, number>
  closed: boolean
}

export type Peer = {
  readonly port: number
  readonly connections: PeerConnection[]
  readonly close: () => Promise<void>
}

export type Script = {
  /** Sent when a connection opens. Default: empty SETTINGS. */
  readonly greeting?: string
  /** Whether the client's SETTINGS are acknowledged. Default: true. */
  readonly acknowledges?: boolean
  readonly onConnection?: (connection: PeerConnection, number: number) => void
  /** HEADERS arrived. */
  readonly onRequest?: (connection: PeerConnection, streamId: number, number: number) => void
  readonly onFrame?: (connection: PeerConnection, frame: Frame) => void
}

const uint = (value: number, octets: number): string =>
  Array.from({ length: octets }, (_, at) =>
    String.fromCharCode(Math.floor(value / 256 ** (octets - 1 - at)) & 0xff),
  ).join('')

export const uint32 = (value: number): string => uint(value, 4)

export const frame = (
  type: number,
  flags: number,
  streamId: number,
  payload = '',
  length = payload.length,
): string => uint(length, 3) + String.fromCharCode(type, flags) + uint32(streamId) + payload

export const field = (name: string, value: string): string =>
  `\0${String.fromCharCode(name.length)}${name}${String.fromCharCode(value.length)}${value}`

export const status200 = '\x88'
export const data = (streamId: number, body: string, last = true) =>
  frame(0, last ? 1 : 0, streamId, body)
export const headers = (streamId: number, block: string, last = false) =>
  frame(1, last ? 5 : 4, streamId, block)
export const settings = (...pairs: readonly (readonly [number, number])[]) =>
  frame(4, 0, 0, pairs.map(([id, value]) => uint(id, 2) + uint32(value)).join(''))
export const settingsAck = frame(4, 1, 0)
export const goaway = (lastStreamId: number, code = 0) =>
  frame(7, 0, 0, uint32(lastStreamId) + uint32(code))
export const reset = (streamId: number, code: number) => frame(3, 0, streamId, uint32(code))
export const windowUpdate = (streamId: number, increment: number) =>
  frame(8, 0, streamId, uint32(increment))
export const ping = (payload = '12345678') => frame(6, 0, 0, payload)
/** A whole answer. */
export const answer = (streamId: number, body = `answer ${streamId}`) =>
  headers(streamId, status200 + field('x-stream', String(streamId))) + data(streamId, body)

const prefaceBytes = 24

export const scriptedPeer = async (script: Script): Promise<Peer> => {
  const connections: PeerConnection[] = []
  const server = createServer({ noDelay: true }, (socket) => {
    const connection: PeerConnection = {
      socket,
      frames: [],
      send: (octets) => void (socket.writable && socket.write(octets, 'latin1')),
      streams: [],
      goaway: undefined,
      resets: new Map(),
      closed: false,
    }
    connections.push(connection)
    const number = connections.length
    socket.on('error', () => {})
    socket.on('close', () => (connection.closed = true))
    connection.send(script.greeting ?? settings())
    script.onConnection?.(connection, number)
    let pending = Buffer.alloc(0)
    let skipped = false
    socket.on('data', (bytes) => {
      pending = Buffer.concat([pending, bytes])
      if (!skipped && pending.length >= prefaceBytes) {
        pending = pending.subarray(prefaceBytes)
        skipped = true
      }
      if (!skipped) return
      while (pending.length >= 9 && pending.length >= 9 + pending.readUIntBE(0, 3)) {
        const end = 9 + pending.readUIntBE(0, 3)
        const got: Frame = {
          type: pending[3]!,
          flags: pending[4]!,
          streamId: pending.readUInt32BE(5),
          payload: Buffer.from(pending.subarray(9, end)),
        }
        pending = pending.subarray(end)
        take(connection, got, number)
      }
    })
  })
  const take = (connection: PeerConnection, got: Frame, number: number) => {
    connection.frames.push(got)
    script.onFrame?.(connection, got)
    if (got.type === 1) {
      connection.streams.push(got.streamId)
      script.onRequest?.(connection, got.streamId, number)
    }
    if (got.type === 3) connection.resets.set(got.streamId, got.payload.readUInt32BE(0))
    if (got.type === 4 && (got.flags & 1) === 0 && script.acknowledges !== false)
      connection.send(settingsAck)
    if (got.type === 7) connection.goaway = got.payload.readUInt32BE(4)
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    connections,
    close: () =>
      new Promise((resolve) => {
        for (const { socket } of connections) socket.destroy()
        server.close(() => resolve())
      }),
  }
}
