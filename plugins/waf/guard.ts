import { createHash } from 'node:crypto'
import type { Clock } from '#contract/clock'
import { isGrpcType } from '#contract/grpc'
import type { Inspect, Inspection, InspectionInput } from '#contract/inspection'
import { pass, refuse, type Result } from '#contract/problem'
import type { Soon } from '#contract/step'
import { defaultBodyLimits } from './bodies/body.ts'
import type { Program } from './engine/program.ts'
import { beginTransaction, type Transaction, type TransactionBounds } from './engine/transaction.ts'
import { recordOf } from './inspection.ts'
import type { RouteWafOptions, WafOptions } from './options.ts'
import type { RuleSet } from './rule-set.ts'

export type WafParts = {
  readonly ruleSet: RuleSet
  readonly options: WafOptions
  /** What the route says differently. */
  readonly route?: RouteWafOptions
  readonly clock: Clock
}

const admitsAll: Inspection = Object.freeze({
  record: () => undefined,
  answers: false,
  head: () => pass({ maxBytes: 0 }),
  body: () => pass(undefined),
})

/**
 * Makes the step that asks the rules about a request: head first, then, if it has one, its body (bounded).
 *
 * @returns A step that learns the inspection. It refuses with `attack-suspected` what the rules refuse, with
 *   `body-too-large` or `request-malformed` what exceeds a limit or is not what it says it is, and with what `peek` refuses
 *   with. An engine that breaks throws, which the way answers with `internal`: never a pass.
 * @throws WafOptionsError for an exclusion of the route that names no rule.
 */
export const waf = ({ ruleSet, options, route = {}, clock }: WafParts): Inspect => {
  const settings = { ...options, ...route }
  const program = ruleSet.programFor(route)
  const bounds: TransactionBounds = {
    limits: {
      ...defaultBodyLimits,
      maxArguments: options.limits.maxArguments,
      maxDepth: options.limits.maxDepth,
    },
    maxValueBytes: options.limits.maxValueBytes,
  }
  const { mode } = settings
  if (mode === 'off') return () => pass(admitsAll)
  const enforcing = mode === 'enforce'

  const refusing = enforcing && settings.overLimit === 'refuse'

  /** Rules count callers in phase 5, which comes with the answer, if answers are looked at. */
  const remember = (transaction: Transaction): Soon<void> =>
    program.remembers && !settings.responses ? transaction.end() : undefined

  const inspectBody = (
    transaction: Transaction,
    body: { readonly bytes: Buffer; readonly whole: boolean } | undefined,
  ): Soon<Result<Inspection>> => {
    const partly = body?.whole === false
    if (partly && refusing)
      return refuse('body-too-large', {
        cause: `more than ${options.limits.maxBodyBytes} bytes to inspect`,
      })
    return after(body && transaction.readBody(body.bytes, body.whole), () => {
      const fault = refusing ? limitFault(transaction, options) : undefined
      if (fault !== undefined) return refuse('request-malformed', { cause: fault })
      return after(transaction.requestBody(), () =>
        after(remember(transaction), () => {
          const verdict = judge(transaction)
          return verdict.ok ? pass(inspectionOf(transaction, partly)) : verdict
        }),
      )
    })
  }

  const judge = ({ state }: Transaction): Result<void> => {
    if (!enforcing || !state.interruption) return pass(undefined)
    return refuse('attack-suspected', { cause: recordOf(state, 'enforce', false) })
  }

  const inspectionOf = (transaction: Transaction, partly: boolean): Inspection => ({
    record: () => recordOf(transaction.state, mode, partly),
    answers: settings.responses,
    head: (status, headers) => {
      if (!settings.responses) return pass({ maxBytes: 0 })
      return after(transaction.responseHead(status, headers), () => {
        const verdict = judge(transaction)
        if (!verdict.ok) return verdict
        const maxBytes = holdsBack(transaction, headers) ? options.limits.maxResponseBodyBytes : 0
        return pass({ maxBytes })
      })
    },
    body: (bytes, whole) => {
      if (!settings.responses) return pass(undefined)
      return after(transaction.responseBody(bytes, whole), () =>
        after(transaction.end(), () => judge(transaction)),
      )
    },
  })

  return (input) => {
    if (!isSampled(input.decisionId, settings.samplingPercent)) return pass(admitsAll)
    const transaction = begin(program, input, clock(), enforcing, settings.responses, bounds)
    const fault = refusing ? limitFault(transaction, options) : undefined
    if (fault !== undefined) return refuse('request-malformed', { cause: fault })
    return after(transaction.requestHead(), () => {
      const verdict = judge(transaction)
      if (!verdict.ok) return after(remember(transaction), () => verdict)
      if (!input.hasBody || transaction.state.mode === 'Off')
        return inspectBody(transaction, undefined)
      const readAll = () =>
        after(input.peek(options.limits.maxBodyBytes), (peeked) =>
          peeked.ok ? inspectBody(transaction, peeked.value) : peeked,
        )
      if (!saysGrpc(input)) return readAll()
      return after(input.peek(1), (peeked) => {
        if (!peeked.ok) return peeked
        return beginsLikeGrpc(peeked.value.bytes) ? inspectBody(transaction, undefined) : readAll()
      })
    })
  }
}

/** Goes on now if the value is there, later if it is not: a request without I/O costs no turn of the event loop. */
const after = <From, To>(value: Soon<From>, next: (value: From) => Soon<To>): Soon<To> =>
  value instanceof Promise ? value.then(next) : next(value)

/**
 * The headers as rules expect them. The gate took Host out of the list when it read it, and Transfer-Encoding because it
 * belongs to the connection: without them every request would lack a host, and every chunked one a length.
 */
const headersForRules = ({ head, protocol, hasBody }: InspectionInput): readonly string[] => {
  const has = (wanted: string) => head.headers.some((name, i) => i % 2 === 0 && name === wanted)
  const authority = head.port === undefined ? head.host : `${head.host}:${head.port}`
  const isChunked = hasBody && protocol.startsWith('HTTP/1') && !has('content-length')
  if (has('host') && !isChunked) return head.headers
  return [
    ...(has('host') ? [] : ['host', authority]),
    ...(isChunked && !has('transfer-encoding') ? ['transfer-encoding', 'chunked'] : []),
    ...head.headers,
  ]
}

const begin = (
  program: Program,
  input: InspectionInput,
  nowMs: number,
  enforcing: boolean,
  responses: boolean,
  bounds: TransactionBounds,
): Transaction => {
  const { head, address, decisionId, protocol } = input
  const transaction = beginTransaction(
    program,
    {
      method: head.method,
      target: head.path + head.query,
      protocol,
      headers: headersForRules(input),
      remoteAddress: address,
      uniqueId: decisionId,
      nowMs,
    },
    bounds,
  )
  if (!enforcing && transaction.state.mode === 'On') transaction.state.mode = 'DetectionOnly'
  transaction.state.responseBodyAccess = responses
  return transaction
}

/** What is over a limit that no rule speaks of. Asked before the rules run, so that they never see more. */
const limitFault = ({ state }: Transaction, { limits }: WafOptions): string | undefined => {
  if (state.request.queryOverLimit || state.args.names.length > limits.maxArguments)
    return `more than ${limits.maxArguments} arguments`
  if (state.longestValueBytes > limits.maxValueBytes)
    return `a value of more than ${limits.maxValueBytes} bytes`
  return state.body.error === undefined ? undefined : `the body: ${state.body.error}`
}

/** A call of gRPC may go on for as long as it likes, and the service may have to answer before it ends. */
const saysGrpc = ({ head: { headers }, protocol }: InspectionInput): boolean => {
  if (!protocol.startsWith('HTTP/2')) return false
  for (let i = 0; i < headers.length; i += 2)
    if (headers[i] === 'content-type') return isGrpcType(headers[i + 1] ?? '')
  return false
}
/** Compressed or not, as its messages begin. No text begins so: who only says that it is gRPC is looked at. */
const beginsLikeGrpc = (bytes: Buffer): boolean => bytes[0] === 0 || bytes[0] === 1

/** Streams are never held back: who reads them would wait for nothing. */
const streaming = /^(?:text\/event-stream|application\/(?:grpc|x-ndjson))/i
const holdsBack = (transaction: Transaction, headers: readonly string[]): boolean => {
  if (!transaction.wantsResponseBody()) return false
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]?.toLowerCase()
    if (name === 'content-type' && streaming.test(headers[i + 1] ?? '')) return false
    // What is compressed says nothing to rules.
    if (name === 'content-encoding' && headers[i + 1] !== 'identity') return false
  }
  return true
}

const isSampled = (decisionId: string, percent: number): boolean => {
  if (percent >= 100) return true
  const number = createHash('sha256').update(decisionId).digest().readUInt32BE(0)
  return number < (percent / 100) * 2 ** 32
}
