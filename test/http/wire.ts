import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'

/** A raw connection: what is written goes out as it is, latin1, and all that comes back is kept. */
export type Wire = {
  readonly socket: Socket
  readonly write: (text: string) => void
  readonly received: () => string
  /** Resolves once what was received matches; rejects if the connection ends or 5 s pass first. */
  readonly until: (pattern: RegExp) => Promise<string>
  /** One whole answer, by its Content-Length; what came before it is forgotten. */
  readonly answer: () => Promise<RawAnswer>
  /** Everything received, once the other side has ended the connection. Rejects after 5 s. */
  readonly end: () => Promise<string>
  readonly destroy: () => void
}

export type RawAnswer = {
  readonly status: number
  readonly head: string
  readonly body: string
  readonly json: () => any
}

const patienceMs = 5000

/** @param tls undefined: plain TCP. */
export const dial = async (port: number, tls?: ConnectionOptions): Promise<Wire> => {
  const socket = tls
    ? connectTls({ port, host: '127.0.0.1', servername: 'localhost', ...tls })
    : connectTcp(port, '127.0.0.1')
  return wireOn(socket, tls ? 'secureConnect' : 'connect')
}

/** @param ready The event to wait for; undefined if the socket is connected. */
export const wireOn = async (socket: Socket, ready?: string): Promise<Wire> => {
  let text = ''
  let isClosed = false
  const changed = new Set<() => void>()
  const tell = () => {
    for (const check of changed) check()
  }
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    tell()
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    isClosed = true
    tell()
  })
  if (ready !== undefined)
    await new Promise<void>((resolve) => socket.once(ready, resolve).once('close', resolve))

  const wait = <T>(what: string, probe: () => T | undefined): Promise<T> =>
    new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer)
        changed.delete(check)
      }
      const check = () => {
        const found = probe()
        if (found === undefined && !isClosed) return
        stop()
        if (found === undefined) reject(new Error(`closed before ${what}; received ${text}`))
        else resolve(found)
      }
      const timer = setTimeout(() => {
        stop()
        reject(new Error(`${what} did not come; received ${text}`))
      }, patienceMs)
      changed.add(check)
      check()
    })

  return {
    socket,
    write: (more) => void socket.write(more, 'latin1'),
    received: () => text,
    until: (pattern) => wait(String(pattern), () => (pattern.test(text) ? text : undefined)),
    answer: () =>
      wait('a whole answer', () => {
        const found = firstAnswer(text)
        if (found) text = text.slice(found.length)
        return found?.answer
      }),
    end: () => wait('the end', () => (isClosed ? text : undefined)),
    destroy: () => void socket.destroy(),
  }
}

const firstAnswer = (text: string) => {
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd < 0) return undefined
  const head = text.slice(0, headEnd)
  const status = Number(head.slice(9, 12))
  const bytes = status === 100 ? 0 : Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
  const length = headEnd + 4 + bytes
  if (text.length < length) return undefined
  const body = text.slice(headEnd + 4, length)
  return { length, answer: { status, head, body, json: () => JSON.parse(body) } }
}

/** Head of a request, with a Host unless one is among the headers. */
export const head = (line: string, ...headers: string[]): string => {
  const host = headers.some((header) => /^host:/i.test(header)) ? [] : ['Host: api.example']
  return [line, ...host, ...headers, '', ''].join('\r\n')
}
