import { connect, createSecureContext, type TLSSocket } from 'node:tls'
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

/** Who is not let in does not come again at once. */
const refusedPauseMs = 50

/**
 * A steady light load on kept connections, counted to the last request. Bytes on sockets, for a client would cost as much as
 * what it is there to load.
 */
export const startLoad = (options: LoadOptions): Load => {
  const secureContext = createSecureContext({ ca: options.ca })
  const request = Buffer.from(
    [
      `GET ${options.path} HTTP/1.1`,
      'host: localhost',
      ...Object.entries(options.headers ?? {}).map(([name, value]) => `${name}: ${value}`),
      '\r\n',
    ].join('\r\n'),
  )
  const statuses: Record<string, number> = {}
  const lost: string[] = []
  let answered = 0
  let refused = 0
  let longestMs = 0
  const stopping = new AbortController()

  /** Resolves when there is one to send on, or none to be had. */
  const connection = () =>
    new Promise<TLSSocket | undefined>((resolve) => {
      const socket = connect({
        host: '127.0.0.1',
        port: options.port,
        servername: 'localhost',
        secureContext,
      })
      socket.once('secureConnect', () => resolve(socket))
      socket.once('close', () => resolve(undefined))
      socket.on('error', () => {}) // `close` follows
    })
  /** Resolves to whether another may be sent on the same connection. */
  const ask = (socket: TLSSocket) =>
    new Promise<boolean>((resolve) => {
      const began = performance.now()
      let text = ''
      const end = (isKept: boolean) => {
        socket.off('data', onData).off('error', onError).off('close', onClose)
        resolve(isKept)
      }
      let why = 'closed'
      const onError = (error: NodeJS.ErrnoException) => (why = error.code ?? error.message)
      const onClose = () => {
        lost.push(`${why} after ${JSON.stringify(text.slice(0, 40))}`)
        end(false)
      }
      const onData = (chunk: Buffer) => {
        text += chunk.toString('latin1')
        if (!isWhole(text)) return
        longestMs = Math.max(longestMs, performance.now() - began)
        const status = text.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length)
        statuses[status] = (statuses[status] ?? 0) + 1
        answered += 1
        end(!/\r\nconnection: close\r\n/i.test(text))
      }
      socket.on('data', onData).on('error', onError).on('close', onClose)
      socket.write(request)
    })
  const caller = async () => {
    let socket: TLSSocket | undefined
    while (!stopping.signal.aborted) {
      if (socket === undefined || socket.destroyed || socket.readableEnded)
        socket = await connection()
      if (socket === undefined) {
        refused += 1
        await sleep(refusedPauseMs)
      } else if (!(await ask(socket))) {
        socket.destroy()
        socket = undefined
      }
      if (options.pauseMs > 0) await sleep(options.pauseMs)
    }
    socket?.destroy()
  }
  const all = Array.from({ length: options.callers }, caller)
  return {
    statuses,
    lost,
    refused: () => refused,
    longestMs: () => longestMs,
    answered: () => answered,
    stop: async () => {
      stopping.abort()
      await Promise.all(all)
    },
  }
}

/** Whether an answer has all of its body, by its length or in chunks (RFC 9112 §6). */
const isWhole = (text: string): boolean => {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return false
  const head = text.slice(0, end)
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
  if (length !== undefined) return text.length >= end + 4 + Number(length)
  return /\r\ntransfer-encoding: chunked/i.test(head) && text.endsWith('0\r\n\r\n')
}
