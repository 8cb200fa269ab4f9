import { request as httpRequest, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { endToEndHeaders, isTransferCoded } from '#http/hop-by-hop'
import type { UpstreamFault, UpstreamHandler, UpstreamRequest } from '#http/upstream-client'
import type { UpgradeHandler, UpgradingClient } from '../upstream/undici-client.ts'

const maxAnswerHeaderBytes = 65_536

/** Sends one request over a connection that was opened for it, which serves no other. */
export const clientOnSocket = (socket: Socket): Pick<UpgradingClient, 'dispatch' | 'upgrade'> => ({
  dispatch: (asked, handler) => send(socket, asked, handler),
  upgrade: (asked, handler) => send(socket, asked, handler, handler.onUpgrade),
})

const send = (
  socket: Socket,
  asked: UpstreamRequest,
  handler: UpstreamHandler,
  onUpgrade?: UpgradeHandler['onUpgrade'],
): void => {
  const { method, path, authority, headers, body, headersTimeoutMs, idleTimeoutMs } = asked
  const ending = endOnce(socket, handler)
  let answer: IncomingMessage | undefined
  const timedOut = (cause: string) => ending.fail('timeout', cause)

  const request = httpRequest({
    createConnection: () => socket, // so that no agent, pool or proxy of the environment has a say
    method,
    path,
    headers: [
      'host',
      authority,
      ...headers,
      ...(body !== null && !headers.includes('content-length')
        ? ['transfer-encoding', 'chunked']
        : []),
      ...(onUpgrade ? ['connection', 'Upgrade', 'upgrade', 'websocket'] : ['connection', 'close']),
    ],
    setHost: false,
    maxHeaderSize: maxAnswerHeaderBytes,
    insecureHTTPParser: false,
  })
  const deadline = setTimeout(
    () => timedOut(`no answer within ${headersTimeoutMs} ms`),
    headersTimeoutMs,
  )
  ending.onEnd(() => clearTimeout(deadline))
  request.on('error', (cause) => ending.fail('broken', cause))
  request.on('upgrade', ({ statusCode, rawHeaders, headers: { upgrade } }, _socket, early) => {
    if (!onUpgrade || statusCode !== 101 || upgrade?.toLowerCase() !== 'websocket')
      return ending.fail('broken', 'an upgrade nobody wanted')
    if (!ending.handOver()) return
    socket.on('error', () => {}) // its 'close' follows
    if (early.length > 0) socket.unshift(early)
    onUpgrade(endToEndHeaders(rawHeaders), socket)
  })
  request.on('response', (given: IncomingMessage) => {
    if (ending.isOver()) return
    const { statusCode = 0 } = given
    // Node's parser takes any three digits. 1xx ends nothing, and below it there is nothing.
    if (statusCode < 200) return ending.fail('broken', `an answer of status ${statusCode}`)
    if (isTransferCoded(given.rawHeaders)) return ending.fail('broken', 'another transfer coding')
    clearTimeout(deadline)
    answer = given
    socket.setTimeout(idleTimeoutMs, () => timedOut('silence'))
    given.on('error', (cause) => ending.fail('broken', cause))
    given.on('close', () => {
      if (given.complete) ending.end()
      else ending.fail('broken', 'cut short')
    })
    handler.onHead(statusCode, endToEndHeaders(given.rawHeaders))
    given.on('data', (chunk: Buffer) => {
      if (!ending.isOver()) handler.onData(chunk, false)
    })
  })
  handler.onStart({
    abort: (cause) => ending.fail('aborted', cause),
    pause: () => void answer?.pause(),
    resume: () => void answer?.resume(),
  })
  if (body === null || Buffer.isBuffer(body)) request.end(body ?? undefined)
  else body.on('error', (cause) => ending.fail('aborted', cause)).pipe(request)
}

/** Exactly one of `onEnd` and `onError`, and then the connection is gone. */
const endOnce = (socket: Socket, handler: UpstreamHandler) => {
  let isOver = false
  let ended = () => {}
  const handOver = (): boolean => {
    if (isOver) return false
    isOver = true
    ended()
    return true
  }
  const over = (): boolean => {
    if (!handOver()) return false
    socket.destroy()
    return true
  }
  return {
    isOver: () => isOver,
    /** The connection is somebody else's from now on; false if it is over already. */
    handOver,
    onEnd: (act: () => void) => {
      ended = act
    },
    end: () => {
      if (over()) handler.onEnd([])
    },
    fail: (kind: UpstreamFault['kind'], cause: unknown) => {
      if (over()) handler.onError({ kind, cause, unsent: false })
    },
  }
}
