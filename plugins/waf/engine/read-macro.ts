import { lowerKey } from './entries.ts'
import type { Macro } from './macro.ts'
import type { State } from './state.ts'
import { findVariable } from './variables.ts'

/** A macro as a function of the request. What is not there is ''. */
export const compileMacro = (macro: Macro): ((state: State) => string) => {
  const { text } = macro
  if (text !== undefined) return () => text
  const parts = macro.parts.map((part) =>
    typeof part === 'string' ? () => part : readerOf(part.variable, part.key),
  )
  const [only] = parts
  if (only && parts.length === 1) return only
  return (state) => {
    let out = ''
    for (const part of parts) out += part(state)
    return out
  }
}

const readerOf = (name: string, written: string | undefined): ((state: State) => string) => {
  const variable = findVariable(name)
  if (!variable) return () => ''
  if (variable.kind === 'scalar') return (state) => variable.read(state) ?? ''
  const key = written === undefined ? undefined : lowerKey(written)
  if (name === 'TX' && key !== undefined) return (state) => state.tx.get(key) ?? ''
  return (state) => {
    const { keys, values } = variable.read(state)
    const at = key === undefined ? 0 : keys.indexOf(key)
    return at < 0 ? '' : (values[at] ?? '')
  }
}
