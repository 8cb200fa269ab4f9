import type { Link } from '../seclang/rule.ts'
import { SecLangError, type Effect, type Target } from '../seclang/syntax.ts'
import type { Test } from '../operators/operator.ts'
import { transformations } from '../transformations/table.ts'
import { leadingInteger } from '../operators/compare-numbers.ts'
import { expandMacro, type Macro } from './macro.ts'
import { lowerKey } from './entries.ts'

/**
 * What is known of TX at one place of the rules, whatever the request: names that only rules have written which run
 * for every request. All names are unset at first.
 */
export type Constants = {
  /** The value, undefined for "not set"; or `unknown`. */
  readonly read: (name: string) => string | undefined | typeof unknown
  readonly write: (name: string, value: string | undefined) => void
  /** After a rule that may or may not run. A macro in the name makes all names unknown that begin like it. */
  readonly forget: (name: Macro) => void
  readonly keepOnly: (names: ReadonlySet<string>) => void
}

export const unknown = Symbol('unknown')

/**
 * A link's operator with an argument that is known once the macros in it are.
 *
 * @throws SecLangError
 */
export const compileAtLoad = (link: Link, argument: string): Test => {
  try {
    return link.compile(argument)
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause
    throw new SecLangError(link, cause.message)
  }
}

const isCapture = (name: string): boolean => /^\d$/.test(name)

export const makeConstants = (): Constants => {
  const known = new Map<string, string | undefined>()
  const forgotten = new Set<string>()
  const prefixes: string[] = []
  let kept: ReadonlySet<string> | undefined
  return {
    read: (name) => {
      const key = lowerKey(name)
      if (isCapture(key) || forgotten.has(key) || prefixes.some((prefix) => key.startsWith(prefix)))
        return unknown
      return kept && !kept.has(key) ? unknown : known.get(key)
    },
    write: (name, value) => {
      known.set(lowerKey(name), value)
      forgotten.delete(lowerKey(name))
    },
    forget: (name) => {
      if (name.text !== undefined) forgotten.add(lowerKey(name.text))
      else {
        const [first] = name.parts
        prefixes.push(typeof first === 'string' ? lowerKey(first) : '')
      }
    },
    keepOnly: (names) => {
      kept = names
    },
  }
}

/** The text of a macro, if all that it names is known. */
export const constantText = (macro: Macro, constants: Constants): string | undefined => {
  if (macro.text !== undefined) return macro.text
  for (const part of macro.parts) {
    if (typeof part === 'string') continue
    if (part.variable !== 'TX' || part.key === undefined) return undefined
    if (constants.read(part.key) === unknown) return undefined
  }
  return expandMacro(macro, (_, key) => {
    const value = constants.read(key ?? '')
    return typeof value === 'string' ? value : ''
  })
}

/** Whether a link matches every request or none; undefined if that depends. */
export const constantVerdict = (link: Link, constants: Constants): boolean | undefined => {
  const { operator } = link
  if (operator === undefined) return true
  const argument = constantText(operator.argument, constants)
  if (argument === undefined || link.multiMatch) return undefined
  const values: string[] = []
  for (const target of link.targets) {
    const value = constantTarget(target, constants)
    if (value === unknown) return undefined
    if (value !== undefined) values.push(value)
  }
  const compiled = link.test ?? compileAtLoad(link, argument)
  if (compiled.ask) return undefined
  return values.some((value) => {
    const transformed = link.transformations.reduce(
      (text, name) => transformations[name].apply(text),
      value,
    )
    return compiled.test(transformed) !== operator.negated
  })
}

const constantTarget = (
  { variable, selector, count }: Target,
  constants: Constants,
): string | undefined | typeof unknown => {
  if (variable !== 'TX' || selector.kind !== 'key') return unknown
  const value = constants.read(selector.key)
  if (value === unknown || !count) return value
  return value === undefined ? '0' : '1'
}

/** What a `setvar` comes to, if it is the same for every request. */
export const constantEffect = (
  effect: Effect,
  constants: Constants,
): { readonly name: string; readonly value: string | undefined } | undefined => {
  if (effect.kind !== 'setvar' || effect.collection !== 'TX') return undefined
  const name = constantText(effect.name, constants)
  if (name === undefined) return undefined
  const { change } = effect
  if (change.how === 'unset') return { name, value: undefined }
  const value = constantText(change.value, constants)
  if (value === undefined) return undefined
  if (change.how === 'set') return { name, value }
  const before = constants.read(name)
  if (before === unknown) return undefined
  return { name, value: changeNumber(before, change.how, value) }
}

/** `=+` and `=-`. Counters never go below zero. */
export const changeNumber = (
  before: string | undefined,
  how: 'add' | 'subtract',
  by: string,
): string => {
  const from = leadingInteger(before ?? '')
  const step = leadingInteger(by)
  return String(Math.max(0, how === 'add' ? from + step : from - step))
}
