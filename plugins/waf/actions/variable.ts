import { parseMacro } from '../engine/macro.ts'
import { isWritable } from '../engine/variables.ts'
import type { Effect, VariableChange } from '../seclang/syntax.ts'
import type { Action } from './action.ts'

/** `setvar:tx.NAME=VALUE`, `=+N`, `=-N`, `!tx.NAME`, or `tx.NAME` alone, which sets 1. */
export const setvar: Action = (text, so) => {
  const unset = text.startsWith('!')
  const [target, value] = splitAt(unset ? text.slice(1) : text, '=')
  const [collection, name] = splitAt(target.trim(), '.')
  if (!isWritable(collection.toUpperCase()) || name === undefined || name === '')
    throw new TypeError(`setvar cannot set ${JSON.stringify(target)}`)
  const effect: Effect = {
    kind: 'setvar',
    collection: collection.toUpperCase(),
    name: parseMacro(name),
    change: unset ? { how: 'unset' } : changeOf(value ?? '1'),
  }
  return { effects: [...so.effects, effect] }
}

const changeOf = (value: string): VariableChange => {
  if (value.startsWith('+')) return { how: 'add', value: parseMacro(value.slice(1)) }
  if (value.startsWith('-')) return { how: 'subtract', value: parseMacro(value.slice(1)) }
  return { how: 'set', value: parseMacro(value) }
}

/** `initcol:ip=KEY`: names a collection. Collections live as long as the request, so none is loaded. */
export const initcol: Action = (text, so) => {
  const [collection, key] = splitAt(text, '=')
  if (!isWritable(collection.toUpperCase()) || key === undefined)
    throw new TypeError(`initcol cannot use ${JSON.stringify(text)}`)
  const effect: Effect = {
    kind: 'initcol',
    collection: collection.toUpperCase(),
    key: parseMacro(key),
  }
  return { effects: [...so.effects, effect] }
}

/** `setuid`, `setsid`, `setrsc`: name the collection USER, SESSION or RESOURCE. */
export const nameCollection =
  (collection: string): Action =>
  (text, so) => ({
    effects: [...so.effects, { kind: 'initcol', collection, key: parseMacro(text) }],
  })

/** `expirevar`, `deprecatevar`: about collections that outlive a request. There are none here. */
export const lifetime: Action = () => ({})

/** `setenv:NAME=VALUE`: sets ENV:NAME, which only rules can read here. */
export const setenv: Action = (text, so) => {
  const [name, value] = splitAt(text, '=')
  return {
    effects: [
      ...so.effects,
      { kind: 'setvar', collection: 'ENV', name: parseMacro(name), change: changeOf(value ?? '') },
    ],
  }
}

const splitAt = (text: string, separator: string): readonly [string, string | undefined] => {
  const at = text.indexOf(separator)
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)]
}
