import { parseMacro } from '../engine/macro.ts'
import { readNumber, type Action } from './action.ts'

/** `pass`: go on. */
export const pass: Action = () => ({ disruption: { kind: 'pass' } })

/** `block`: do what the SecDefaultAction of the phase says. */
export const block: Action = () => ({ disruption: { kind: 'block' } })

/** `deny`: refuse, with the rule's `status`. */
export const deny: Action = () => ({ disruption: { kind: 'deny' } })

/** `drop`: refuse and close the connection. */
export const drop: Action = () => ({ disruption: { kind: 'drop' } })

/** `allow`: no more rules, of all phases but the last, of this `phase`, or of the `request` phases. */
export const allow: Action = (text) => {
  if (text === '') return { disruption: { kind: 'allow', scope: 'all' } }
  if (text !== 'phase' && text !== 'request')
    throw new TypeError(`allow cannot be limited to ${JSON.stringify(text)}`)
  return { disruption: { kind: 'allow', scope: text } }
}

/** `redirect:URL`: refuse with a redirection. */
export const redirect: Action = (text) => ({
  disruption: { kind: 'redirect', target: parseMacro(text) },
})

/** `status:N`: what `deny` and `redirect` answer with. */
export const status: Action = (text) => ({ status: readNumber(text, 100, 599) })
