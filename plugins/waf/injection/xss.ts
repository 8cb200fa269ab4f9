import type { Slice } from './word-table.ts'
import { startsWithWord } from './word-table.ts'
import type { HtmlContext, HtmlReader } from './xss/html-reader.ts'
import { htmlReader } from './xss/html-reader.ts'
import { nextHtmlToken } from './xss/html-tokenize.ts'
import type { AttributeDanger } from './xss/names.ts'
import { dangerOf, isDangerousTag } from './xss/names.ts'
import { isDangerousUrl } from './xss/url.ts'

/** The token that was read, as a name. Old browsers ignore NUL bytes in names. */
const nameIn = (r: HtmlReader): Slice => {
  if (!r.hasNul) return r
  const text = r.text.slice(r.start, r.end).replaceAll('\0', '')
  return { text, start: 0, end: text.length }
}

const isDangerousValue = (danger: AttributeDanger | undefined, r: HtmlReader): boolean => {
  switch (danger) {
    case undefined:
      return false
    case 'black':
    case 'style':
      return true
    case 'url':
      return isDangerousUrl(r.text.slice(r.start, r.end))
    case 'indirect':
      return dangerOf(nameIn(r)) !== undefined
    default:
      return danger satisfies never
  }
}

/** A comment that Internet Explorer takes for something else, or that declares an XML entity. */
const isDangerousComment = (r: HtmlReader): boolean => {
  const comment = r.text.slice(r.start, r.end)
  if (comment.includes('`')) return true // it ends a tag there
  const beginning = comment.slice(0, 3).toUpperCase()
  if (comment.length > 3 && (beginning === '[IF' || beginning === 'XML')) return true
  const word = nameIn(r)
  return startsWithWord(word, 'IMPORT') || startsWithWord(word, 'ENTITY')
}

const isDangerousIn = (text: string, context: HtmlContext): boolean => {
  const r = htmlReader(text, context)
  let danger: AttributeDanger | undefined
  while (nextHtmlToken(r)) {
    switch (r.kind) {
      case 'doctype':
        return true
      case 'tag-open':
        if (isDangerousTag(nameIn(r))) return true
        danger = undefined
        break
      case 'comment':
        if (isDangerousComment(r)) return true
        danger = undefined
        break
      case 'attribute-name':
        danger = dangerOf(nameIn(r))
        break
      case 'attribute-value':
        if (isDangerousValue(danger, r)) return true
        danger = undefined
        break
      default:
        danger = undefined
    }
  }
  return false
}

/**
 * Cross-site scripting as libinjection detects it (@detectXSS): the text is read as HTML where a page could put it (in
 * its text, among the attributes of a tag, in the value of one), and judged by tags, attributes, URLs and comments.
 *
 * Its ports differ. Events are whole names (`onclickx` is none), as in Go; `xmlns` and `xlink` are beginnings of names,
 * and an indirect attribute may name any that is listed, as in C. An end tag is over when the next tag begins.
 *
 * Linear in the length of the text, which is latin1 (one character, one byte).
 */
export const detectXss = (text: string): boolean => {
  // Only a tag, or the value of an attribute, is ever dangerous, and these need one of the two.
  const hasTag = text.includes('<')
  if (!hasTag && !text.includes('=')) return false
  return (
    (hasTag && isDangerousIn(text, 'data')) ||
    isDangerousIn(text, 'attributes') ||
    (text.includes("'") && isDangerousIn(text, "'")) ||
    (text.includes('"') && isDangerousIn(text, '"')) ||
    (text.includes('`') && isDangerousIn(text, '`'))
  )
}
