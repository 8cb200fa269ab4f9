import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { problemDetails, problemMediaType } from '#contract/problem-details'
import { problems, type Problem, type ProblemTag } from '#contract/problem'
import type { CallerRequest, CallerResponse } from './caller.ts'
import { discardRest, discardUntilClosed, endWith, lingerMs } from './discard.ts'
import { replyGrpc } from './grpc-reply.ts'
import { writtenLines } from './header-lines.ts'

/** What went over the wire, for the record. */
export type Replied = {
  /** The problem's, also where gRPC has another way to say it. */
  readonly status: number
  readonly bytesOut: number
  readonly grpcStatus?: number
}

/** After these nothing that the connection still brings can be trusted to be where it should be, or to be wanted. */
const endsConnection: ReadonlySet<ProblemTag> = new Set([
  'request-malformed',
  'host-invalid',
  'header-invalid',
  'header-repeated',
  'path-invalid',
  'method-not-allowed',
  'upgrade-refused',
  'request-timeout',
  'body-too-large',
  'target-too-long',
  'expectation-failed',
  'headers-too-large',
  'draining',
  'quarantined',
] satisfies ProblemTag[])

/**
 * Refuses a request: `application/problem+json`, with the tag in `x-sallyport-problem` and, if given, the decision id in
 * `x-sallyport-decision-id`. The connection ends if the body was not read whole. An answer that has begun is cut off,
 * never added to. A call of gRPC is refused in its own words, and can be told so at the end of what has begun, too.
 *
 * @param nowMs For who refuses often: with it, most refusals are written in one piece.
 * @see RFC 9457
 */
export const replyProblem = (
  res: CallerResponse,
  problem: Problem,
  decisionId?: string,
  nowMs?: number,
): Replied => {
  const { status } = problems[problem.tag]
  if (res.req.isGrpc && !res.destroyed && problem.tag !== 'caller-gone') {
    const begun = res.headersSent ? res.statusCode : undefined
    const grpcStatus = replyGrpc(res, problem, aboutProblem(problem, decisionId))
    if (grpcStatus !== undefined) return { status: begun ?? status, bytesOut: 0, grpcStatus }
  }
  if (res.headersSent || res.destroyed || problem.tag === 'caller-gone') {
    if (!res.writableFinished) res.destroy()
    return { status: res.headersSent ? res.statusCode : status, bytesOut: 0 }
  }
  const text = JSON.stringify(problemDetails(problem, decisionId))
  const bytesOut = Buffer.byteLength(text)
  const isWhole = isReadWhole(res.req)
  const isHttp2 = res.req.httpVersionMajor === 2
  const staysOpen = isWhole && !endsConnection.has(problem.tag)
  const sent = { status, bytesOut: res.req.method === 'HEAD' ? 0 : bytesOut }
  // Under a flood nearly all answers are refusals, and these must cost no more than what they refuse.
  const mayBeWhole = nowMs !== undefined && staysOpen && bytesOut === text.length
  if (mayBeWhole && res.endWhole?.(status, linesOf(problem, decisionId, nowMs), text)) return sent
  for (const name of res.getHeaderNames()) res.removeHeader(name) // whatever was meant for another answer
  res.writeHead(status, [
    ...headersOf(problem, bytesOut, decisionId),
    // HTTP/2 has no such header: its streams end one by one.
    ...(isHttp2 || staysOpen ? [] : ['connection', 'close']),
  ])
  // Over HTTP/2 the rest of a body is refused apart from the answer, and loses it nothing.
  if (isWhole || isHttp2) res.end(text)
  else endLater(res, text)
  return sent
}

/**
 * The same where there is no ServerResponse: on the socket of an upgrade, a CONNECT, or one whose request could not be
 * read. Ends the connection.
 */
export const replyProblemOnSocket = (
  socket: Duplex,
  problem: Problem,
  decisionId?: string,
): Replied => {
  const { status } = problems[problem.tag]
  if (!socket.writable || problem.tag === 'caller-gone') {
    socket.destroy()
    return { status, bytesOut: 0 }
  }
  const text = JSON.stringify(problemDetails(problem, decisionId))
  const bytesOut = Buffer.byteLength(text)
  const headers = [...headersOf(problem, bytesOut, decisionId), 'connection', 'close']
  // Of an answer to CONNECT many clients show these words and nothing else.
  const first = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}: ${problem.tag}\r\n`
  socket.on('error', () => {}) // a reset while we write; 'close' follows
  endWith(socket, `${first}${writtenLines(headers)}\r\n${text}`, () => discardUntilClosed(socket))
  return { status, bytesOut }
}

/** Of a request without a body Node says so only after its first event. */
const isReadWhole = ({ complete, headers }: CallerRequest): boolean =>
  complete ||
  (headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0)

const headersOf = (problem: Problem, bytes: number, decisionId: string | undefined): string[] => {
  const headers = ['content-type', problemMediaType, 'content-length', String(bytes)]
  return [...headers, ...aboutProblem(problem, decisionId)]
}

/** The same, written out, with a date and without the length. */
const linesOf = (problem: Problem, decisionId: string | undefined, nowMs: number): string =>
  `content-type: ${problemMediaType}\r\n${writtenLines(aboutProblem(problem, decisionId))}Date: ${new Date(nowMs).toUTCString()}\r\n`

const aboutProblem = (problem: Problem, decisionId: string | undefined): string[] => {
  const headers = ['cache-control', 'no-store', 'x-sallyport-problem', problem.tag]
  if (decisionId !== undefined) headers.push('x-sallyport-decision-id', decisionId)
  if (problem.headers)
    for (const [name, value] of Object.entries(problem.headers))
      headers.push(name.toLowerCase(), value.replace(notInHeader, '?'))
  return headers
}

/** A refusal must never fail for what it says, nor let a value become a second header. */
const notInHeader = /[^\t\x20-\x7e]/g

/**
 * The caller is still sending. The answer is complete for it at once, by its Content-Length; the end, which closes the
 * connection, waits until it has sent all or the time is over.
 */
const endLater = (res: CallerResponse, text: string): void => {
  res.write(text)
  const end = () => {
    clearTimeout(timer)
    if (!res.writableEnded) res.end()
  }
  const timer = setTimeout(end, lingerMs)
  res.req.once('end', end)
  res.once('close', end)
  discardRest(res.req)
}
