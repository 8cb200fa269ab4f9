import { globSync, readFileSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { blockLists, type AskBlockList } from '../block-lists.ts'
import { findDirective } from './directives/table.ts'
import { newDraft, type Draft } from './draft.ts'
import { lex } from './lex.ts'
import type { LoadedRules } from './rule.ts'
import { SecLangError, type Directive, type Place } from './syntax.ts'

/** A rule file by its path, which may be a glob; or text with the name that faults shall have. */
export type RuleSource = string | { readonly name: string; readonly text: string }

const maxIncludeDepth = 20

/**
 * Reads rule files in order, with all that they include.
 *
 * @throws SecLangError with file and line, for the first fault.
 */
export const loadRules = (
  sources: readonly RuleSource[],
  askBlockList: AskBlockList = blockLists(),
): LoadedRules => {
  const draft = newDraft(askBlockList)
  for (const source of sources)
    if (typeof source === 'string') include(draft, source, { file: source, line: 0 }, 0, false)
    else loadText(draft, source.text, source.name, 0)
  const { entries, settings, notes, files, signatures } = draft
  return { entries, settings, notes, files, signatures }
}

const loadText = (draft: Draft, text: string, file: string, depth: number): void => {
  draft.files.push(file)
  const directives = lex(text, file)
  for (const directive of directives) {
    try {
      apply(draft, directive, depth)
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause
      throw new SecLangError(directive, `${directive.name}: ${cause.message}`)
    }
  }
  if (draft.chainOpen)
    throw new SecLangError(directives.at(-1) ?? { file, line: 1 }, 'the chain is not finished')
}

const apply = (draft: Draft, directive: Directive, depth: number): void => {
  const { name, words } = directive
  const lower = name.toLowerCase()
  if (lower === 'include' || lower === 'includeoptional') {
    const [pattern, ...more] = words
    if (pattern === undefined || more.length > 0) throw new TypeError('takes one path')
    include(draft, pattern, directive, depth + 1, lower === 'includeoptional')
    return
  }
  const word = findDirective(name)
  if (!word) throw new TypeError('there is no such directive')
  word(draft, words, directive)
}

const include = (
  draft: Draft,
  pattern: string,
  place: Place,
  depth: number,
  optional: boolean,
): void => {
  if (depth > maxIncludeDepth) throw new TypeError('files include each other without end')
  const path = place.line === 0 ? resolve(pattern) : resolve(dirname(place.file), pattern)
  const files = /[*?[]/.test(pattern) ? globSync(path).sort() : [path]
  for (const file of files) {
    const text = readRuleFile(file)
    if (text !== undefined) loadText(draft, text, file, depth)
    else if (!optional) throw new SecLangError(place, `cannot read ${file}`)
  }
}

/** Undefined if it is not there. Latin1, as everything that is matched. */
const readRuleFile = (file: string): string | undefined =>
  statSync(file, { throwIfNoEntry: false })?.isFile() ? readFileSync(file, 'latin1') : undefined
