import { beginTransaction } from '../engine/transaction.ts'
import type { Program } from '../engine/program.ts'
import type { RuleMatch, State } from '../engine/state.ts'
import { buildRequest } from './build-request.ts'
import { parseRequest, type RawRequest } from './parse-request.ts'
import type { Stage } from './read-tests.ts'

/** Runs one stage through all phases. @returns What was not as expected, empty if all was */
export const runStage = async (
  program: Program,
  stage: Stage,
  id: string,
): Promise<readonly string[]> => {
  const request = parseRequest(buildRequest(stage))
  const { output } = stage
  if (output.status === 400)
    return request.fault === undefined ? ['would not be answered 400 by the HTTP side'] : []
  // go-ftw looks at nothing else where it expects the connection to fail.
  if (output.expect_error) return request.fault === undefined ? ['would not be refused'] : []
  const state = await runRequest(program, request, id)
  const { log = {} } = output
  const faults: string[] = []
  const logged = new Set(state.matches.map(({ ruleId }) => ruleId))
  for (const expected of log.expect_ids ?? [])
    if (!logged.has(expected)) faults.push(`no ${expected}`)
  for (const unwanted of log.no_expect_ids ?? [])
    if (logged.has(unwanted)) faults.push(`has ${unwanted}`)
  const lines = state.matches.map(logLine).join('\n')
  if (log.match_regex && !new RegExp(log.match_regex).test(lines))
    faults.push(`no line matches ${log.match_regex}`)
  if (log.no_match_regex && new RegExp(log.no_match_regex).test(lines))
    faults.push(`a line matches ${log.no_match_regex}`)
  if (output.status === 200 && state.interruption) faults.push('was refused')
  return faults
}

/** Runs a request and the answer that the tests' backend gives to it through all phases. */
export const runRequest = async (
  program: Program,
  request: RawRequest,
  id: string,
): Promise<State> => {
  const { method, target, protocol, headers, body } = request
  const transaction = beginTransaction(program, {
    method,
    target,
    protocol,
    headers,
    remoteAddress: '127.0.0.1',
    uniqueId: id,
    nowMs: 0,
  })
  await transaction.requestHead()
  await transaction.readBody(Buffer.from(body, 'latin1'), true)
  await transaction.requestBody()
  const answer = reflectAnswer(target, body)
  await transaction.responseHead(answer.status, answer.headers)
  await transaction.responseBody(Buffer.from(answer.body, 'latin1'), true)
  await transaction.end()
  return transaction.state
}

type Answer = {
  readonly status: number
  readonly headers: readonly string[]
  readonly body: string
}

/** As CRS's test backend (albedo): `/reflect` answers what it is told, everything else is an empty 200. */
export const reflectAnswer = (target: string, body: string): Answer => {
  const empty: Answer = { status: 200, headers: [], body: '' }
  if (!target.startsWith('/reflect')) return empty
  try {
    const told = JSON.parse(Buffer.from(body, 'latin1').toString('utf8')) as {
      status?: number
      headers?: Record<string, string>
      body?: string
      encodedBody?: string
    }
    return {
      status: told.status ?? 200,
      headers: Object.entries({ 'Content-Type': 'text/plain', ...told.headers }).flat(),
      body:
        told.encodedBody === undefined || told.encodedBody === ''
          ? Buffer.from(told.body ?? '', 'utf8').toString('latin1')
          : Buffer.from(told.encodedBody, 'base64').toString('latin1'),
    }
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    return empty
  }
}

/** Control bytes as ModSecurity's log has them. */
const escapeLog = (text: string): string =>
  text.replace(
    /[^ !\x23-\x5b\x5d-~]/g,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )

/** A match in the words of ModSecurity v2's error log, which the tests' patterns look at. */
export const logLine = (match: RuleMatch): string =>
  `[file "${match.file}"] [line "${match.line}"] [id "${match.ruleId}"] [msg "${escapeLog(match.message)}"] ` +
  `[data "${escapeLog(match.logData)}"] [severity "${match.severity ?? ''}"] ` +
  match.tags.map((tag) => `[tag "${tag}"]`).join(' ')
