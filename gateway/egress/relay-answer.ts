import { grpcStatusIn } from '#contract/grpc'
import { admitted, refuse, type Problem, type Result } from '#contract/problem'
import { headerOf } from '#contract/request-head'
import type { CallerResponse } from '#http/caller'
import { answerScan, type AnswerScan } from './credentials/scan.ts'
import { credentialReturned, type GivenCredential } from './credentials/credential.ts'

export type AnswerRelay = {
  /** @param headers Name, value, name, value …: lower-case, end-to-end ones alone. */
  readonly head: (status: number, headers: readonly string[]) => void
  /** @returns Whether there is room for more. */
  readonly data: (chunk: Buffer) => boolean
  /** All is here: what was held back goes out, the trailers, and the end; or it fails. */
  readonly end: (trailers: readonly string[]) => void
}

/** Over HTTP/2 a head goes out at once. */
type Response = CallerResponse & { readonly flushHeaders?: () => void }

type Relaying = {
  readonly viaName: string
  readonly decisionId: string
  /** What the request had, and the answer must not have. */
  readonly credential: GivenCredential | undefined
  readonly fail: (problem: Problem) => void
}

/**
 * Passes an answer on as it comes.
 *
 * One to a request with a credential is looked through before it goes on. Its head waits for the first bytes behind it, so
 * that what shows the credential at once gets an answer of ours instead; streams of events and answers of gRPC, whose first
 * bytes may take long, are the exception.
 */
export const answerRelay = (
  res: Response,
  { viaName, decisionId, credential, fail }: Relaying,
): AnswerRelay => {
  let scan: AnswerScan | undefined
  const returned = () => {
    if (credential) fail(credentialReturned(credential.id))
    return false
  }
  let waiting: { readonly status: number; readonly headers: readonly string[] } | undefined
  /** @returns Whether it is out. */
  const sendHead = (isAll = false): boolean => {
    if (!waiting) return true
    const { status, headers } = waiting
    waiting = undefined
    const sent = answerHeaders(headers, viaName, decisionId)
    try {
      if (isAll && res.endWithHead) res.endWithHead(status, sent)
      else res.writeHead(status, sent)
      return true
    } catch (cause) {
      fail({ tag: 'destination-broken', cause }) // here a throw would end the process
      return false
    }
  }

  return {
    head: (status, headers) => {
      const judged = admitHead(credential, headers)
      if (!judged.ok) return fail(judged.problem)
      waiting = { status, headers }
      const isLive = isEventStream(headers) || res.req.isGrpc === true
      scan =
        credential &&
        answerScan(credential.attachment.reveal().needles, credential.scanBytes, isLive)
      // Without a message its status stands in the head, which must then be all there is.
      if ((scan && !isLive) || grpcStatusIn(headers) !== undefined) return
      if (sendHead() && isLive) res.flushHeaders?.()
    },
    data: (chunk) => {
      const through = scan ? scan.push(chunk) : chunk
      if (!through) return returned()
      if (through.length === 0) return true // not a byte is out, so an answer of ours can still be
      return sendHead() && res.write(through)
    },
    end: (trailers) => {
      if (scan?.isInHead(trailers)) return void returned()
      const rest = scan?.rest() ?? nothing
      if (!sendHead(rest.length === 0 && trailers.length === 0) || res.writableEnded) return
      if (rest.length > 0) res.write(rest)
      if (trailers.length > 0 && res.endWithTrailers) res.endWithTrailers(trailers)
      else res.end()
    },
  }
}

const nothing = Buffer.alloc(0)

/** Refuses with `credential-returned`, and with `destination-broken` what could not be looked through. */
export const admitHead = (
  credential: GivenCredential | undefined,
  headers: readonly string[],
): Result<void> => {
  if (!credential) return admitted
  const { id, attachment, scanBytes } = credential
  if (answerScan(attachment.reveal().needles, 0).isInHead(headers))
    return { ok: false, problem: credentialReturned(id) }
  return scanBytes > 0 && isEncoded(headers)
    ? refuse('destination-broken', {
        cause: 'its answer is encoded, though it was asked for as it is',
      })
    : admitted
}

/** Each of them counts: whoever decodes may do so by any. A WebSocket's extensions code its messages (RFC 7692). */
const isEncoded = (headers: readonly string[]): boolean =>
  headers.some(
    (name, i) =>
      i % 2 === 0 &&
      ((encodingNames.has(name) && (headers[i + 1] ?? '').trim().toLowerCase() !== 'identity') ||
        name === 'sec-websocket-extensions'),
  )

const encodingNames: ReadonlySet<string> = new Set(['content-encoding', 'grpc-encoding'])

const isEventStream = (headers: readonly string[]): boolean =>
  /^text\/event-stream\b/i.test(headerOf({ headers }, 'content-type') ?? '')

/** A destination must not be able to speak as the gateway. */
export const answerHeaders = (
  headers: readonly string[],
  viaName: string,
  decisionId: string,
): string[] => {
  const kept: string[] = []
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const [name = '', value = ''] = [headers[i], headers[i + 1]]
    if (!name.startsWith('x-sallyport-') && name !== 'proxy-status') kept.push(name, value)
  }
  kept.push('via', `1.1 ${viaName}`, 'x-sallyport-decision-id', decisionId)
  return kept
}
