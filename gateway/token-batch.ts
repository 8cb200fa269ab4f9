import { quoted } from '#contract/quoted'
import {
  tokenBatchPath,
  type TokenBatchAnswer,
  type TokenBatchQuestion,
} from '#contract/token-exchange'
import type { UpstreamClient, UpstreamControl, UpstreamFault } from '#http/upstream-client'
import { parseObject } from './parse-object.ts'

/** What the exchange said, or why it did not. */
export type Told =
  | (Omit<TokenBatchAnswer, 'question'> & {
      /** All questions were refused together, and nobody looked at this one. */
      readonly isOfAll?: true
    })
  | { readonly fault: UpstreamFault }

/** How questions get to the exchange. */
export type Batch = {
  /** Over mTLS, to a peer that proved to be the exchange. Read at each use: it changes with the own SVID. */
  readonly client: () => UpstreamClient
  /** Its Host. */
  readonly authority: string
  /** For all of them, waiting for a connection included. */
  readonly timeoutMs: number
}

export type AskedQuestion = {
  /** JSON. */
  readonly text: string
  readonly tell: (told: Told) => void
}

/** Several times as long as an answer of ours. */
const maxAnswerChars = 65_536

/**
 * Asks several questions in one request, and tells each asker its answer as soon as it is here. Every asker is told once.
 *
 * @param heldMs So long the first of them has waited for this.
 * @param begun Told once, when the first answer is here or none will come.
 */
export const sendBatch = (
  questions: readonly AskedQuestion[],
  { client, authority, timeoutMs }: Batch,
  heldMs: number,
  begun: () => void,
): void => {
  const body = Buffer.from(`[${questions.map(({ text }) => text).join()}]`)
  const left: (AskedQuestion | undefined)[] = [...questions]
  let hasBegun = false
  let head: { readonly status: number; readonly headers: readonly string[] } | undefined
  /** Of an answer that is not whole yet. */
  let rest = ''
  let control: UpstreamControl | undefined
  let why: UpstreamFault['kind'] | undefined

  const begin = () => {
    if (hasBegun) return
    hasBegun = true
    begun()
  }
  const stop = (kind: UpstreamFault['kind'], message: string) => {
    why ??= kind
    control?.abort(new Error(message))
  }
  const read = (line: string) => {
    const answer = readAnswer(line)
    const asked = answer && left[answer.question]
    if (!asked) return stop('broken', 'the exchange gave an answer that is none')
    left[answer.question] = undefined
    asked.tell(answer)
  }
  const end = (told: Told) => {
    clearTimeout(timer)
    begin()
    for (const asked of left) asked?.tell(told)
  }
  const leftMs = Math.max(1, timeoutMs - heldMs)
  const timer = setTimeout(() => stop('timeout', `no answer within ${timeoutMs} ms`), leftMs)
  client().dispatch(
    {
      method: 'POST',
      path: tokenBatchPath,
      authority,
      headers: ['content-type', 'application/json', 'content-length', String(body.length)],
      body,
      headersTimeoutMs: timeoutMs,
      idleTimeoutMs: timeoutMs,
    },
    {
      onStart: (given) => {
        control = given
      },
      onHead: (status, headers) => {
        head = { status, headers }
      },
      onData: (chunk) => {
        rest += chunk.toString('latin1') // ASCII, as all that the exchange says
        if (head?.status === 200) {
          const lines = rest.split('\n')
          rest = lines.pop() ?? ''
          lines.forEach(read)
          begin()
        }
        if (rest.length > maxAnswerChars)
          stop('broken', 'the exchange gave an answer that is too long')
      },
      onEnd: () => end(head && head.status !== 200 ? refusalOfAll(head, rest) : unanswered),
      onError: (fault) => end({ fault: { ...fault, kind: why ?? fault.kind } }),
    },
  )
}

const unanswered: Told = {
  fault: {
    kind: 'broken',
    cause: new Error('the exchange left a question unanswered'),
    unsent: false,
  },
}

const refusalOfAll = (
  { status, headers }: { readonly status: number; readonly headers: readonly string[] },
  text: string,
): Told => {
  const at = headers.findIndex((name, i) => i % 2 === 0 && name === 'retry-after')
  const seconds = at < 0 ? Number.NaN : Number(headers[at + 1])
  return {
    status,
    body: parseObject(text) ?? {},
    isOfAll: true,
    ...(Number.isFinite(seconds) ? { retry_after: seconds } : {}),
  }
}

const readAnswer = (line: string): TokenBatchAnswer | undefined => {
  const answer = parseObject(line)
  const { question, status, body } = answer ?? {}
  return Number.isInteger(question) &&
    Number.isInteger(status) &&
    typeof body === 'object' &&
    body !== null
    ? (answer as TokenBatchAnswer)
    : undefined
}

/** As JSON. */
export const questionText = ({ form, request_id, traceparent }: TokenBatchQuestion): string =>
  `{"form":${quoted(form)}${member('request_id', request_id)}${member('traceparent', traceparent)}}`

const member = (name: keyof TokenBatchQuestion, value: string | undefined): string =>
  value === undefined ? '' : `,"${name}":${quoted(value)}`
