import { readFileSync } from 'node:fs'
import { parseRequest } from '#plugins/waf/ftw/parse-request'
import { runRequest } from '#plugins/waf/ftw/run-stage'
import type { MatchedRule } from '#contract/inspection'
import { recordOf } from '#plugins/waf/inspection'
import { loadRuleSet } from '#plugins/waf/rule-set'
import type { State } from '#plugins/waf/engine/state'
import { exitCodes } from '../command.ts'
import { optionsOf, type Given } from './given.ts'

/** `sallyport waf explain`: what the rules say of one request. Fails if they refuse it. */
export const explainRequest = async (given: Given, file: string): Promise<number> => {
  // As people write requests: line ends as their editor makes them, no Content-Length.
  const request = parseRequest(withLength(readFileSync(file, 'latin1')))
  const state = await runRequest(loadRuleSet(optionsOf(given)).programFor(), request, 'explain')
  const record = recordOf(state, 'enforce', false)
  const refused = state.interruption !== undefined
  if (given.json)
    process.stdout.write(
      `${JSON.stringify({ refused, interruption: state.interruption, ...record, matches: state.matches }, undefined, 2)}\n`,
    )
  else process.stdout.write(report(state, record.rules))
  return refused ? exitCodes.faults : exitCodes.done
}

const withLength = (raw: string): string => {
  const end = /\r?\n\r?\n/.exec(raw)
  if (!end || /^(?:content-length|transfer-encoding):/im.test(raw.slice(0, end.index))) return raw
  const body = raw.slice(end.index + end[0].length).replace(/\n$/, '')
  return body === ''
    ? raw
    : `${raw.slice(0, end.index)}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}

const report = (state: State, rules: readonly MatchedRule[]): string => {
  const { request, interruption } = state
  const lines = [request.line, '']
  if (state.matches.length === 0) lines.push('No rule matched.')
  for (const match of state.matches) {
    const [first] = match.matched
    lines.push(
      `phase ${match.phase}  rule ${match.ruleId}  ${match.severity ?? ''}  ${match.message}`,
      ...(first ? [`         saw ${first.name}: ${quote(first.value)}`] : []),
      ...(match.logData === '' ? [] : [`         ${quote(match.logData)}`]),
      `         ${match.file}:${match.line}`,
    )
  }
  lines.push(
    '',
    interruption
      ? `Refused in phase ${interruption.phase} by rule ${interruption.ruleId}.`
      : 'Admitted.',
  )
  if (interruption) lines.push(...suggestions(state, rules))
  return `${lines.join('\n')}\n`
}

/** Rules that only sum up what others found look at nothing that was sent: they are not what is to be left out. */
const looksAtRequest = ({ variable }: MatchedRule): boolean =>
  variable !== '' && !/^&?TX\b/.test(variable)

const suggestions = (state: State, rules: readonly MatchedRule[]): readonly string[] => {
  const wrong = rules.filter(looksAtRequest)
  if (wrong.length === 0) return []
  const lines = new Set(wrong.map(({ exclusion }) => `  - ${exclusion}`))
  const one = lines.size > 1 ? oneLine(state, wrong) : undefined
  return [
    '',
    'If that is wrong, under `waf.exclusions` of the route or of all:',
    ...lines,
    ...(one === undefined
      ? []
      : ['Or, in one line, for all rules against this kind of attack:', `  - ${one}`]),
  ]
}

/** By the kind of attack, if all are of one kind and found it in one place. */
const oneLine = (state: State, wrong: readonly MatchedRule[]): string | undefined => {
  const [first] = wrong
  if (!first || wrong.some(({ variable }) => variable !== first.variable)) return undefined
  const ids = new Set(wrong.map(({ id }) => id))
  const tags = state.matches.filter(({ ruleId }) => ids.has(ruleId)).map((match) => match.tags)
  const tag = tags[0]?.find(
    (one) => one.startsWith('attack-') && tags.every((all) => all.includes(one)),
  )
  return tag === undefined
    ? undefined
    : `{ tag: ${JSON.stringify(tag)}, target: ${JSON.stringify(first.variable.replace(/^&/, ''))} }`
}

const quote = (text: string): string => JSON.stringify(text.slice(0, 300))
