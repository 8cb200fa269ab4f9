import { isCollection, isVariable } from '../engine/variables.ts'
import { compilePattern } from '../regex/pattern.ts'
import { PatternError } from '../regex/syntax.ts'
import type { Selector, Target, TargetRemoval } from './syntax.ts'

/**
 * Reads a list of variables: `ARGS|!ARGS:x|&REQUEST_HEADERS:Host`.
 *
 * @throws TypeError for a variable that there is not, or a selector that cannot be read.
 */
export const parseTargets = (source: string): readonly Target[] => {
  const targets: Target[] = []
  const removals: TargetRemoval[] = []
  for (const item of splitTargets(source)) {
    if (item.startsWith('!')) removals.push(parseTarget(item.slice(1)))
    else if (item.startsWith('&'))
      targets.push({ ...parseTarget(item.slice(1)), count: true, except: [] })
    else targets.push({ ...parseTarget(item), count: false, except: [] })
  }
  return removeTargets(targets, removals)
}

/** Splits at `|`, but not inside `/…/` or quotes. */
const splitTargets = (source: string): readonly string[] => {
  const items =
    source.match(/(?:[^|'"/:]|:'[^']*'|:"[^"]*"|:\/(?:\\.|[^\\/])*\/(?=\||$|\s)|[:/'"])+/g) ?? []
  return items.map((item) => item.trim()).filter((item) => item !== '')
}

/** Reads `NAME`, `NAME:key`, `NAME:/pattern/`, with or without quotes round the selector. */
export const parseTarget = (source: string): TargetRemoval => {
  const colon = source.indexOf(':')
  const variable = (colon < 0 ? source : source.slice(0, colon)).trim().toUpperCase()
  if (!isVariable(variable)) throw new TypeError(`there is no variable ${JSON.stringify(variable)}`)
  if (colon < 0) return { variable, selector: { kind: 'all' } }
  const key = source
    .slice(colon + 1)
    .trim()
    .replace(/^(['"])(.*)\1$/s, '$2')
  // The two paths of CRS. A path is no pattern, though it begins with a slash.
  if (variable === 'XML') return { variable: xmlVariable(key), selector: { kind: 'all' } }
  if (!isCollection(variable)) throw new TypeError(`${variable} has no entries to select from`)
  return { variable, selector: parseSelector(key) }
}

const xmlVariable = (path: string): string => {
  if (path === '/*') return 'XML'
  if (path === '//@*') return 'XML_ATTRIBUTES'
  throw new TypeError(`of XPath only /* and //@* are supported, not ${JSON.stringify(path)}`)
}

/** @throws TypeError for a pattern that cannot be read */
export const parseSelector = (key: string): Selector => {
  if (key.length < 2 || !key.startsWith('/') || !key.endsWith('/'))
    return { kind: 'key', key: key.toLowerCase() }
  const source = key.slice(1, -1)
  try {
    const pattern = compilePattern(`(?i)${source}`)
    return { kind: 'pattern', source, test: pattern.test }
  } catch (cause) {
    if (!(cause instanceof PatternError)) throw cause
    throw new TypeError(`the selector ${key} is not a pattern: ${cause.message}`, { cause })
  }
}

/** Takes what the removals name out of the targets. A whole variable goes; of a variable, a key is excepted. */
export const removeTargets = (
  targets: readonly Target[],
  removals: readonly TargetRemoval[],
): readonly Target[] =>
  removals.reduce<readonly Target[]>(
    (kept, { variable, selector }) =>
      kept
        .filter((target) => !(target.variable === variable && covers(selector, target.selector)))
        .map((target) =>
          target.variable === variable && target.selector.kind !== 'key'
            ? { ...target, except: [...target.except, selector] }
            : target,
        ),
    targets,
  )

const covers = (removal: Selector, selector: Selector): boolean => {
  if (removal.kind === 'all') return true
  if (selector.kind === 'key') return selects(removal, selector.key)
  return (
    removal.kind === 'pattern' && selector.kind === 'pattern' && removal.source === selector.source
  )
}

/** Whether a selector selects a key, which must be lower-case. */
export const selects = (selector: Selector, key: string): boolean => {
  switch (selector.kind) {
    case 'all':
      return true
    case 'key':
      return selector.key === key
    case 'pattern':
      return selector.test(key)
    default:
      return selector satisfies never
  }
}
