import { parseMacro } from '../engine/macro.ts'
import { isWritable } from '../engine/variables.ts'
import type { Effect, VariableChange } from '../seclang/syntax.ts'
import type { Action } from './action.ts'

/** `setvar:tx.NAME=VALUE`, `=+N`, `=-N`, `!tx.NAME`, or `tx.NAME` alone, which sets 1. */
export const setvar: Action = (text, so) => {
  const unset = text.startsWith('!')
  const [target, value] = splitAt(unset ? text.slice(1) : text, '=')
  const effect: Effect = {
    kind: 'setvar',
    ...readName('setvar', target),
    change: unset ? { how: 'unset' } : changeOf(value ?? '1'),
  }
  return { effects: [...so.effects, effect] }
}

const changeOf = (value: string): VariableChange => {
  if (value.startsWith('+')) return { how: 'add', value: parseMacro(value.slice(1)) }
  if (value.startsWith('-')) return { how: 'subtract', value: parseMacro(value.slice(1)) }
  return { how: 'set', value: parseMacro(value) }
}

/** `COLLECTION.NAME` of what rules may write. */
const readName = (action: string, text: string) => {
  const [collection, name] = splitAt(text.trim(), '.')
  if (!isWritable(collection.toUpperCase()) || name === undefined || name === '')
    throw new TypeError(`${action} cannot set ${JSON.stringify(text)}`)
  return { collection: collection.toUpperCase(), name: parseMacro(name) }
}

/** `initcol:ip=KEY`: opens what is kept under that key. */
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

/** `expirevar:ip.NAME=SECONDS`: unsets it that long after. */
export const expirevar: Action = (text, so) => {
  const [target, seconds] = splitAt(text, '=')
  if (seconds === undefined) throw new TypeError('expirevar needs NAME=SECONDS')
  const effect: Effect = {
    kind: 'expirevar',
    ...readName('expirevar', target),
    seconds: parseMacro(seconds),
  }
  return { effects: [...so.effects, effect] }
}

/** `deprecatevar:ip.NAME=N/SECONDS`: takes N off for each so many seconds since it was set. */
export const deprecatevar: Action = (text, so) => {
  const [target, rate = ''] = splitAt(text, '=')
  const read = /^(\d{1,9})\/([1-9]\d{0,8})$/.exec(rate)
  if (!read) throw new TypeError('deprecatevar needs NAME=NUMBER/SECONDS')
  const effect: Effect = {
    kind: 'deprecatevar',
    ...readName('deprecatevar', target),
    by: Number(read[1]),
    everySeconds: Number(read[2]),
  }
  return { effects: [...so.effects, effect] }
}

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
