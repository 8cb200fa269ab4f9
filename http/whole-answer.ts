import { ServerResponse, STATUS_CODES, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { Writable } from 'node:stream'
import { inOnePiece } from '#contract/in-one-piece'

export type WholeAnswerOptions = {
  readonly keepAliveTimeoutMs: number
  /** 0: no limit. */
  readonly maxRequestsPerConnection: number
}

/** What Node keeps of an answer's head once it is put together. */
type Inside = { _header: string; _headerSent: boolean }

/**
 * The responses of a server, which take a small answer whole: Node looks at each header of each answer anew, which costs a
 * twentieth of a request, and most of what a service says in its heads is the same every time.
 *
 * What is used of Node's insides is tried out here; where it is not as it was, no answer is taken whole.
 */
export const wholeAnswers = (options: WholeAnswerOptions): typeof ServerResponse => {
  const Response = responsesOf(keepAliveLines(options))
  return worksIn(Response) ? Response : ServerResponse
}

const responsesOf = (keepAlive: string) =>
  class<Request extends IncomingMessage> extends ServerResponse<Request> {
    /**
     * @param lines Headers as they go out, each with its CRLF, and known to be well-formed; none of content-length,
     *   transfer-encoding or the connection.
     * @param body latin1.
     * @returns False if this answer has to go the usual way: nothing is written then.
     */
    endWhole(status: number, lines: string, body: string): boolean {
      const { req } = this
      if (!this.shouldKeepAlive || this.headersSent || !mayHaveBody(status)) return false
      if (req.method === 'HEAD' || req.httpVersion !== '1.1') return false
      if (req.headers.expect !== undefined) return false // what was to be sent may still come
      this.statusCode = status
      const inside = this as unknown as Inside
      inside._header = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n${lines}content-length: ${body.length}\r\n${keepAlive}`
      inside._headerSent = false
      this.end(body, 'latin1')
      return true
    }
  }

const mayHaveBody = (status: number): boolean => status >= 200 && status !== 204 && status !== 304

/** As Node writes them. */
const keepAliveLines = ({ keepAliveTimeoutMs, maxRequestsPerConnection }: WholeAnswerOptions) => {
  const max = maxRequestsPerConnection > 0 ? `, max=${maxRequestsPerConnection}` : ''
  const timeout =
    keepAliveTimeoutMs > 0
      ? `Keep-Alive: timeout=${Math.floor(keepAliveTimeoutMs / 1000)}${max}\r\n`
      : ''
  return inOnePiece(`Connection: keep-alive\r\n${timeout}\r\n`, 'latin1')
}

const worksIn = (Response: ReturnType<typeof responsesOf>): boolean => {
  const written: Buffer[] = []
  const socket = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      written.push(chunk)
      done()
    },
  })
  const request = {
    method: 'GET',
    httpVersion: '1.1',
    httpVersionMajor: 1,
    httpVersionMinor: 1,
    headers: {},
  }
  const res = new Response(request as IncomingMessage)
  res.assignSocket(socket as unknown as Socket)
  const isTaken = res.endWhole(200, 'a: b\r\n', 'c')
  return (
    isTaken &&
    res.headersSent &&
    res.writableEnded &&
    /^HTTP\/1\.1 200 OK\r\na: b\r\ncontent-length: 1\r\n(?:[^\r\n]+\r\n)+\r\nc$/.test(
      Buffer.concat(written).toString('latin1'),
    )
  )
}
