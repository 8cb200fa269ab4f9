import { Value } from 'typebox/value'
import { pass } from '#contract/problem'
import type { RequestHead } from '#contract/request-head'
import { compileRules, type Program } from '#plugins/waf/engine/program'
import type { State } from '#plugins/waf/engine/state'
import { beginTransaction } from '#plugins/waf/engine/transaction'
import type { InspectionInput } from '#contract/inspection'
import { WafOptions } from '#plugins/waf/options'
import { loadRules } from '#plugins/waf/seclang/load'

/** Options with their defaults. */
export const wafOptions = (some: Record<string, unknown> = {}): WafOptions =>
  Value.Default(WafOptions, structuredClone({ limits: {}, ...some })) as WafOptions

/** Rules from text. */
export const programOf = (...texts: readonly string[]): Program => {
  const loaded = loadRules(texts.map((text, i) => ({ name: `rules-${i}.conf`, text })))
  return compileRules(loaded, loaded.entries)
}

export type Sent = {
  readonly method?: string
  readonly target?: string
  readonly headers?: readonly string[]
  readonly body?: string | Buffer
  readonly status?: number
  readonly responseHeaders?: readonly string[]
  readonly responseBody?: string
  readonly remoteAddress?: string
  readonly nowMs?: number
}

/** Runs a request through all phases. */
export const runThrough = async (program: Program, sent: Sent = {}): Promise<State> => {
  const transaction = beginTransaction(program, {
    method: sent.method ?? 'GET',
    target: sent.target ?? '/',
    protocol: 'HTTP/1.1',
    headers: sent.headers ?? ['Host', 'example.com'],
    remoteAddress: sent.remoteAddress ?? '192.0.2.1',
    uniqueId: 'unique',
    nowMs: sent.nowMs ?? 0,
  })
  await transaction.requestHead()
  if (sent.body !== undefined) await transaction.readBody(Buffer.from(sent.body), true)
  await transaction.requestBody()
  await transaction.responseHead(
    sent.status ?? 200,
    sent.responseHeaders ?? ['Content-Type', 'text/html'],
  )
  await transaction.responseBody(
    sent.responseBody === undefined ? undefined : Buffer.from(sent.responseBody),
    true,
  )
  await transaction.end()
  return transaction.state
}

/** Ids of the rules that were recorded, each once, in order. */
export const idsOf = (state: State): readonly number[] => [
  ...new Set(state.matches.map(({ ruleId }) => ruleId)),
]

/** What the guard is given. */
export const inspectionInput = (
  head: Partial<RequestHead> = {},
  body?: { readonly bytes: Buffer; readonly whole: boolean },
): InspectionInput => ({
  head: {
    method: 'GET',
    host: 'shop.example',
    port: undefined,
    path: '/',
    query: '',
    headers: ['accept', '*/*', 'user-agent', 'Mozilla/5.0'],
    ...head,
  },
  address: '192.0.2.1',
  decisionId: 'decision-1',
  protocol: 'HTTP/1.1',
  hasBody: body !== undefined,
  peek: () => pass(body ?? { bytes: Buffer.alloc(0), whole: true }),
})
