import { findTransformation } from '../transformations/table.ts'
import { readNumber, type Action } from './action.ts'

/** `chain`: the next rule is a further condition of this one. */
export const chain: Action = () => ({ chain: true })

/** `skip:N`: on a match the next N rules of the phase are passed over. */
export const skip: Action = (text) => ({ skip: readNumber(text, 1, 100_000) })

/** `skipAfter:NAME`: on a match go on behind the rule of that id or the SecMarker of that name. */
export const skipAfter: Action = (text) => ({ skipAfter: text })

/** `capture`: keep what matched in TX.0 to TX.9. */
export const capture: Action = () => ({ capture: true })

/** `multiMatch`: try the operator before and after every transformation that changes something. */
export const multiMatch: Action = () => ({ multiMatch: true })

/** `t:NAME`: transform the value first; `t:none` forgets all that came before. */
export const t: Action = (text, so) => {
  const name = text.toLowerCase() === 'none' ? 'none' : findTransformation(text)
  if (name === undefined) throw new TypeError(`there is no transformation ${JSON.stringify(text)}`)
  return { transformations: [...so.transformations, name] }
}

/** `log`, `nolog`: whether a match is recorded. `nolog` speaks for the audit log too. */
export const log: Action = () => ({ log: true })
export const nolog: Action = () => ({ log: false, auditLog: false })

/** `auditlog`, `noauditlog`: whether a match makes the transaction one worth recording. */
export const auditlog: Action = () => ({ auditLog: true })
export const noauditlog: Action = () => ({ auditLog: false })
