import { noActions } from '../actions/action.ts'
import { findAction } from '../actions/table.ts'
import type { Actions } from './syntax.ts'

/**
 * Reads a list of actions: `id:1,phase:2,msg:'a, b',t:none`.
 *
 * @throws TypeError, naming the action, for one that there is not or whose argument cannot be read.
 */
export const parseActions = (source: string): Actions => {
  let actions = noActions
  for (const item of splitActions(source)) {
    const colon = item.indexOf(':')
    const name = (colon < 0 ? item : item.slice(0, colon)).trim()
    const action = findAction(name)
    if (!action) throw new TypeError(`there is no action ${JSON.stringify(name)}`)
    const argument = colon < 0 ? '' : unquote(item.slice(colon + 1).trim())
    try {
      actions = { ...actions, ...action(argument, actions) }
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause
      throw new TypeError(`${name}: ${cause.message}`, { cause })
    }
  }
  return actions
}

/** Splits at commas outside of single quotes. */
const splitActions = (source: string): readonly string[] => {
  const items: string[] = []
  let start = 0
  let quoted = false
  for (let at = 0; at < source.length; at++) {
    const char = source[at]
    if (char === '\\' && quoted) at++
    else if (char === "'") quoted = !quoted
    else if (char === ',' && !quoted) {
      items.push(source.slice(start, at))
      start = at + 1
    }
  }
  if (quoted) throw new TypeError("a ' that is not closed")
  items.push(source.slice(start))
  return items.map((item) => item.trim()).filter((item) => item !== '')
}

const unquote = (text: string): string =>
  text.length >= 2 && text.startsWith("'") && text.endsWith("'")
    ? text.slice(1, -1).replaceAll("\\'", "'")
    : text
