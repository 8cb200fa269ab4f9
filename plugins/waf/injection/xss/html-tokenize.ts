import { bogusComment, markupDeclaration, percentComment } from './html-comments.ts'
import type { HtmlReader } from './html-reader.ts'
import { emit, emitRest, isHtmlWhite, skipHtmlWhite } from './html-reader.ts'

const isLetter = (code: number): boolean =>
  (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a)

const data = (r: HtmlReader): boolean => {
  const { text, position } = r
  const tag = text.indexOf('<', position)
  if (tag === -1) {
    const isEmpty = position === text.length
    emitRest(r, 'text')
    return !isEmpty
  }
  emit(r, 'text', position, tag, 'tag-open', tag + 1)
  return tag > position || tagOpen(r)
}

const tagOpen = (r: HtmlReader): boolean => {
  const { text, position } = r
  const next = text[position]
  r.isEndTag = next === '/'
  switch (next) {
    case undefined:
      return false
    case '!':
      r.position++
      return markupDeclaration(r)
    case '/':
      r.position++
      return endTagOpen(r)
    case '?':
      r.position++
      return bogusComment(r)
    case '%':
      r.position++
      return percentComment(r)
    case '\0': // Internet Explorer ignored it
      return tagName(r)
    default:
      return isLetter(text.charCodeAt(position))
        ? tagName(r)
        : emit(r, 'text', position - 1, position, 'data', position)
  }
}

const endTagOpen = (r: HtmlReader): boolean => {
  const { text, position } = r
  if (position === text.length) return false
  if (text[position] === '>') return data(r)
  return isLetter(text.charCodeAt(position)) ? tagName(r) : bogusComment(r)
}

const tagName = (r: HtmlReader): true => {
  const { text, position } = r
  for (let end = position; end < text.length; end++) {
    const code = text.charCodeAt(end)
    if (isHtmlWhite(code)) return emit(r, 'tag-open', position, end, 'attributes', end + 1)
    if (code === 0x2f) return emit(r, 'tag-open', position, end, 'self-closing', end + 1)
    if (code === 0x3e)
      return r.isEndTag
        ? emit(r, 'tag-close', position, end, 'data', end + 1)
        : emit(r, 'tag-open', position, end, 'tag-name-close', end)
  }
  return emitRest(r, 'tag-open')
}

const tagNameClose = (r: HtmlReader): true =>
  emit(r, 'tag-name-close', r.position, r.position + 1, 'data', r.position + 1)

/** After a slash in a tag. */
const selfClosing = (r: HtmlReader): boolean => {
  const { text, position } = r
  return text[position] === '>'
    ? emit(r, 'tag-self-close', position - 1, position + 1, 'data', position + 1)
    : beforeAttributeName(r)
}

const beforeAttributeName = (r: HtmlReader): boolean => {
  for (;;) {
    switch (skipHtmlWhite(r)) {
      case undefined:
        return false
      case '/':
        r.position++
        // Not a call of selfClosing for any slash: a text of slashes would nest as deep as it is long.
        if (r.text[r.position] === '>') return selfClosing(r)
        break
      case '>':
        return tagNameClose(r)
      default:
        return attributeName(r)
    }
  }
}

const attributeName = (r: HtmlReader): true => {
  const { text, position } = r
  for (let end = position + 1; end < text.length; end++) {
    const code = text.charCodeAt(end)
    if (isHtmlWhite(code))
      return emit(r, 'attribute-name', position, end, 'after-attribute-name', end + 1)
    if (code === 0x2f) return emit(r, 'attribute-name', position, end, 'self-closing', end + 1)
    if (code === 0x3d)
      return emit(r, 'attribute-name', position, end, 'before-attribute-value', end + 1)
    if (code === 0x3e) return emit(r, 'attribute-name', position, end, 'tag-name-close', end)
  }
  return emitRest(r, 'attribute-name')
}

const afterAttributeName = (r: HtmlReader): boolean => {
  switch (skipHtmlWhite(r)) {
    case undefined:
      return false
    case '/':
      r.position++
      return selfClosing(r)
    case '=':
      r.position++
      return beforeAttributeValue(r)
    case '>':
      return tagNameClose(r)
    default:
      return attributeName(r)
  }
}

const beforeAttributeValue = (r: HtmlReader): boolean => {
  const quote = skipHtmlWhite(r)
  switch (quote) {
    case undefined:
      return false
    case '"':
    case "'":
    case '`': // Internet Explorer
      r.position++
      return quotedValue(r, quote)
    default:
      return unquotedValue(r)
  }
}

const quotedValue = (r: HtmlReader, quote: string): true => {
  const { text, position } = r
  const end = text.indexOf(quote, position)
  return end === -1
    ? emitRest(r, 'attribute-value')
    : emit(r, 'attribute-value', position, end, 'after-quoted-value', end + 1)
}

const unquotedValue = (r: HtmlReader): true => {
  const { text, position } = r
  for (let end = position; end < text.length; end++) {
    const code = text.charCodeAt(end)
    if (isHtmlWhite(code)) return emit(r, 'attribute-value', position, end, 'attributes', end + 1)
    if (code === 0x3e) return emit(r, 'attribute-value', position, end, 'tag-name-close', end)
  }
  return emitRest(r, 'attribute-value')
}

const afterQuotedValue = (r: HtmlReader): boolean => {
  if (r.text[r.position] !== '/') return beforeAttributeName(r)
  r.position++
  return selfClosing(r)
}

/** Reads the next token into the reader; false at the end. No byte is looked at more than a few times. */
export const nextHtmlToken = (r: HtmlReader): boolean => {
  switch (r.state) {
    case 'data':
      return data(r)
    case 'attributes':
      return beforeAttributeName(r)
    case "'":
    case '"':
    case '`':
      return quotedValue(r, r.state)
    case 'tag-open':
      return tagOpen(r)
    case 'tag-name-close':
      return tagNameClose(r)
    case 'self-closing':
      return selfClosing(r)
    case 'after-attribute-name':
      return afterAttributeName(r)
    case 'before-attribute-value':
      return beforeAttributeValue(r)
    case 'after-quoted-value':
      return afterQuotedValue(r)
    case 'end':
      return false
    default:
      return r.state satisfies never
  }
}
