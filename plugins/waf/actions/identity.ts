import { parseMacro } from '../engine/macro.ts'
import { phases, severities, type Severity } from '../seclang/syntax.ts'
import { readNumber, type Action } from './action.ts'

/** `id:N`: the rule's number; every rule needs one of its own. */
export const id: Action = (text) => ({ id: readNumber(text, 1, 999_999_999_999) })

/** `phase:N`, or `request`, `response`, `logging`. */
export const phase: Action = (text) => {
  const named = { request: 2, response: 4, logging: 5 } as const
  const found = Object.hasOwn(named, text)
    ? named[text as keyof typeof named]
    : phases.find((phase) => String(phase) === text)
  if (found === undefined) throw new TypeError(`${JSON.stringify(text)} is not a phase`)
  return { phase: found }
}

/** `msg:'TEXT'`: what a person reads of a match. Macros are expanded. */
export const msg: Action = (text) => ({ message: parseMacro(text) })

/** `logdata:'TEXT'`: what was matched, for the record. Macros are expanded. */
export const logdata: Action = (text) => ({ logData: parseMacro(text) })

/** `severity:CRITICAL`, or its number from 0 (EMERGENCY) to 7 (DEBUG). */
export const severity: Action = (text) => {
  const upper = text.toUpperCase()
  const found = /^[0-7]$/.test(text)
    ? severities[Number(text)]
    : severities.find((name) => name === upper)
  if (found === undefined) throw new TypeError(`${JSON.stringify(text)} is not a severity`)
  return { severity: found satisfies Severity }
}

/** `tag:'NAME'`: exclusions name rules by it. */
export const tag: Action = (text, so) => ({ tags: [...so.tags, parseMacro(text)] })

/** `ver:'TEXT'`: which release the rule is of. */
export const ver: Action = (text) => ({ version: text })

/** `rev`, `maturity`, `accuracy`: remarks of the author that nothing reads. */
export const remark: Action = () => ({})
