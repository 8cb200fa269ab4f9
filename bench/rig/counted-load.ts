import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type TLSSocket } from 'node:tls'

export type CountedTarget = {
  readonly port: number
  readonly rootsFile: string
  readonly path: string
  readonly token: string
  readonly connections: number
}

export type Counted = {
  /** Requests whose last byte was written. */
  readonly sent: number
  /** Answers by status; `lost` are those that never came, or not whole. */
  readonly answers: Readonly<Record<string, number>>
  readonly perSecond: number
  readonly p99Ms: number
  readonly worstMs: number
}

const head = /^HTTP\/1\.1 (\d{3}) [^]*?\r\ncontent-length: (\d+)\r\n[^]*?\r\n\r\n/i

/**
 * Valid requests over raw connections that are kept, the same bytes each time, so that a generator in Node keeps a gateway
 * busy: one at a time on each connection, and none is given up at the end, so that what was sent can be compared with
 * what was recorded.
 *
 * @returns What ends it, once all answers are there.
 */
export const startCountedLoad = ({
  port,
  rootsFile,
  path,
  token,
  connections,
}: CountedTarget): (() => Promise<Counted>) => {
  const asked = Buffer.from(
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  )
  const at = { host: '127.0.0.1', port, servername: 'localhost', ca: readFileSync(rootsFile) }
  const answers: Record<string, number> = {}
  const tookMs: number[] = []
  const ending = { isOver: false }
  let sent = 0
  const began = performance.now()

  const count = (word: string, from: number) => {
    answers[word] = (answers[word] ?? 0) + 1
    tookMs.push(performance.now() - from)
  }
  const ask = (socket: TLSSocket): Promise<void> =>
    new Promise((resolve) => {
      let from = 0
      let text = ''
      const next = () => {
        if (ending.isOver) return resolve()
        from = performance.now()
        text = ''
        sent += 1
        socket.write(asked)
      }
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1')
        const found = head.exec(text)
        if (!found) return
        const [whole, status = '', length] = found
        if (text.length < whole.length + Number(length)) return
        count(status, from)
        from = 0
        next()
      })
      socket.on('error', () => {}) // its end is told by 'close'
      socket.once('close', () => {
        if (from > 0) count('lost', from)
        resolve()
      })
      next()
    })
  const caller = async () => {
    while (!ending.isOver) {
      const socket = connect(at)
      await once(socket, 'secureConnect')
      await ask(socket)
      socket.destroy()
    }
  }
  const calling = Promise.all(Array.from({ length: connections }, caller))
  calling.catch(() => {}) // it is awaited at the end
  return async () => {
    ending.isOver = true
    await calling
    const sorted = tookMs.toSorted((a, b) => a - b)
    return {
      sent,
      answers,
      perSecond: sent / ((performance.now() - began) / 1000),
      p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN,
      worstMs: sorted.at(-1) ?? Number.NaN,
    }
  }
}
