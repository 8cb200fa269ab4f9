/** Text with `%{COLLECTION.KEY}` in it. */
export type Macro = {
  readonly source: string
  /** Set if there is nothing to expand. */
  readonly text: string | undefined
  readonly parts: readonly (string | MacroVariable)[]
}
/** A variable named in a macro. */
export type MacroVariable = {
  /** Upper-case. */
  readonly variable: string
  /** As written; undefined for the whole variable. */
  readonly key: string | undefined
}

const pattern = /%\{([^{}]+)\}/g

/** Reads text with macros. What does not look like one is text. */
export const parseMacro = (source: string): Macro => {
  const parts: (string | MacroVariable)[] = []
  let at = 0
  for (const found of source.matchAll(pattern)) {
    if (found.index > at) parts.push(source.slice(at, found.index))
    const [, name = ''] = found
    const dot = name.indexOf('.')
    parts.push({
      variable: (dot < 0 ? name : name.slice(0, dot)).toUpperCase(),
      key: dot < 0 ? undefined : name.slice(dot + 1),
    })
    at = found.index + found[0].length
  }
  if (parts.length === 0) return { source, text: source, parts: [source] }
  if (at < source.length) parts.push(source.slice(at))
  return { source, text: undefined, parts }
}

/** Expands a macro; `read` gives '' for what is not there. */
export const expandMacro = (
  macro: Macro,
  read: (variable: string, key: string | undefined) => string,
): string => {
  if (macro.text !== undefined) return macro.text
  let out = ''
  for (const part of macro.parts)
    out += typeof part === 'string' ? part : read(part.variable, part.key)
  return out
}
