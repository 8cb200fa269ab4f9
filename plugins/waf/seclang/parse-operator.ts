import { parseMacro } from '../engine/macro.ts'
import { findOperator } from '../operators/table.ts'
import type { OperatorUse } from './syntax.ts'

/**
 * Reads `@name argument`, `!@name argument`, or a bare pattern, which means `@rx`.
 *
 * @throws TypeError for an operator that there is not.
 */
export const parseOperator = (source: string): OperatorUse => {
  const trimmed = source.trimStart()
  const negated = trimmed.startsWith('!')
  const rest = negated ? trimmed.slice(1).trimStart() : trimmed
  const named = /^@(\w+)(?:\s+([^]*))?$/.exec(rest)
  if (!named) return { name: 'rx', negated, argument: parseMacro(rest), source }
  const name = findOperator(named[1] ?? '')
  if (name === undefined) throw new TypeError(`there is no operator @${named[1]}`)
  const text = named[2] ?? ''
  // Blanks at the end belong to a pattern, and to nothing else.
  return { name, negated, argument: parseMacro(name === 'rx' ? text : text.trim()), source }
}
