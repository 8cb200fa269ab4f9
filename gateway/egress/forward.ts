import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Problem } from '#contract/problem'
import { endToEndHeaders } from '#http/hop-by-hop'
import type { Sent } from '../answer.ts'
import { placeOf } from './allow.ts'
import { hostHeader } from './authority.ts'
import type { Admitted } from './pipeline.ts'
import type { Ask } from './read-ask.ts'

/** What passed the way, and is a request that is seen. */
export type AdmittedRequest = Admitted & { readonly ask: Extract<Ask, { kind: 'request' }> }

export type Forwarding = {
  readonly refuse: (problem: Problem) => Sent
  readonly viaName: string
  readonly headersTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly maxBodyBytes: number
  /** Accounts bytes that were moved, either way; says so if they were too many. */
  readonly spend: (bytes: number) => Problem | undefined
}

const httpPort = 80
const httpsPort = 443
const maxAnswerHeaderBytes = 65_536

/**
 * Passes a request to the connection that was opened for it, and the answer back, streaming both ways. The
 * connection serves this one request. Redirects are the workload's to follow: each hop is judged anew.
 *
 * @returns Resolves once the last byte is through or cannot come; never rejects.
 */
export const forward = (
  admitted: AdmittedRequest,
  res: ServerResponse,
  forwarding: Forwarding,
): Promise<Sent> =>
  new Promise((resolve) => {
    const { ask, body, connection, decisionId } = admitted
    const { refuse, viaName, headersTimeoutMs, idleTimeoutMs, maxBodyBytes, spend } = forwarding
    const { socket } = connection
    let bytesOut = 0
    let isSettled = false

    const settle = (sent: Sent) => {
      if (isSettled) return
      isSettled = true
      clearTimeout(deadline)
      res.off('close', callerGone)
      socket.destroy()
      resolve(sent)
    }
    const fail = (problem: Problem) => {
      if (isSettled) return
      const shown = body.fault() ?? problem
      settle({ ...refuse(shown), bytesOut, problem: shown })
    }
    const callerGone = () => fail({ tag: 'caller-gone' })

    const taken = body.take(maxBodyBytes)
    const fault = body.fault()
    const request = httpRequest({
      createConnection: () => socket, // so that no agent, pool or proxy of the environment has a say
      method: ask.head.method,
      path: ask.head.path + ask.head.query,
      headers: requestHeaders(admitted, taken, viaName),
      setHost: false,
      maxHeaderSize: maxAnswerHeaderBytes,
      insecureHTTPParser: false,
    })
    const deadline = setTimeout(
      () => fail({ tag: 'destination-timeout', cause: `no answer within ${headersTimeoutMs} ms` }),
      headersTimeoutMs,
    )
    request.on('error', (cause) => fail({ tag: 'destination-broken', cause }))
    if (fault) return fail(fault)
    if (res.destroyed) return callerGone()
    res.once('close', callerGone)
    request.on('upgrade', () =>
      fail({ tag: 'destination-broken', cause: 'an upgrade nobody wanted' }),
    )
    request.on('response', (answer: IncomingMessage) => {
      if (isSettled) return
      const { statusCode = 0 } = answer
      // Node's parser takes any three digits. 1xx ends nothing, and below it there is nothing.
      if (statusCode < 200)
        return fail({ tag: 'destination-broken', cause: `an answer of status ${statusCode}` })
      clearTimeout(deadline)
      socket.setTimeout(idleTimeoutMs, () => fail({ tag: 'destination-timeout', cause: 'silence' }))
      try {
        res.writeHead(statusCode, answerHeaders(answer, viaName, decisionId))
      } catch (cause) {
        return fail({ tag: 'destination-broken', cause }) // here a throw would end the process
      }
      answer.on('data', (chunk: Buffer) => {
        bytesOut += chunk.length
        const tooMany = spend(chunk.length)
        if (tooMany) return fail(tooMany)
        if (!res.write(chunk)) answer.pause()
      })
      res.on('drain', () => answer.resume())
      answer.on('error', (cause) => fail({ tag: 'destination-broken', cause }))
      answer.on('close', () => {
        if (!answer.complete) return fail({ tag: 'destination-broken', cause: 'cut short' })
        res.off('close', callerGone)
        res.once('close', () => settle({ status: res.statusCode, bytesOut }))
        res.end(() => settle({ status: res.statusCode, bytesOut }))
      })
    })
    if (taken === null || Buffer.isBuffer(taken)) {
      const tooMany = taken && spend(taken.length)
      if (tooMany) return fail(tooMany)
      request.end(taken ?? undefined)
    } else {
      taken.on('error', () => fail({ tag: 'caller-gone' }))
      taken.on('data', (chunk: Buffer) => {
        const tooMany = spend(chunk.length)
        if (tooMany) fail(tooMany)
      })
      taken.pipe(request)
    }
  })

/** The Host is that of the one authority, whatever was sent. */
const requestHeaders = (admitted: AdmittedRequest, body: unknown, viaName: string): string[] => {
  const { head } = admitted.ask
  const usualPort = admitted.decision.protocol === 'https' ? httpsPort : httpPort
  const headers = ['host', hostHeader(placeOf(admitted), usualPort)]
  let hasLength = false
  for (let i = 0; i + 1 < head.headers.length; i += 2) {
    const [name = '', value = ''] = [head.headers[i], head.headers[i + 1]]
    if (name === 'host') continue
    if (name === 'content-length') hasLength = true
    headers.push(name, value)
  }
  if (body !== null && !hasLength) headers.push('transfer-encoding', 'chunked')
  headers.push('via', `1.1 ${viaName}`, 'connection', 'close')
  return headers
}

/** A destination must not be able to speak as the gateway. */
const answerHeaders = (
  { rawHeaders }: IncomingMessage,
  viaName: string,
  decisionId: string,
): string[] => {
  const kept: string[] = []
  const all = endToEndHeaders(rawHeaders)
  for (let i = 0; i + 1 < all.length; i += 2) {
    const [name = '', value = ''] = [all[i], all[i + 1]]
    if (!name.startsWith('x-sallyport-') && name !== 'proxy-status') kept.push(name, value)
  }
  kept.push('via', `1.1 ${viaName}`, 'x-sallyport-decision-id', decisionId)
  return kept
}
