/**
 * Where reading begins: in the text of a page, among the attributes of a tag, or in the value of an attribute within
 * the given quote.
 */
export type HtmlContext = 'data' | 'attributes' | "'" | '"' | '`'

export type HtmlTokenKind =
  | 'text'
  | 'tag-open'
  | 'tag-name-close'
  | 'tag-self-close'
  | 'tag-close'
  | 'attribute-name'
  | 'attribute-value'
  | 'comment'
  | 'doctype'

/** What comes next. */
export type HtmlState =
  | HtmlContext
  | 'tag-open'
  | 'tag-name-close'
  | 'self-closing'
  | 'after-attribute-name'
  | 'before-attribute-value'
  | 'after-quoted-value'
  | 'end'

/** Reads the tokens of HTML5, and of what old browsers took for it, one after another. */
export type HtmlReader = {
  readonly text: string
  readonly hasNul: boolean
  position: number
  state: HtmlState
  isEndTag: boolean
  /** The token that was read last, and where it is in the text. */
  kind: HtmlTokenKind
  start: number
  end: number
}

export const htmlReader = (text: string, context: HtmlContext): HtmlReader => ({
  text,
  hasNul: text.includes('\0'),
  position: 0,
  state: context,
  isEndTag: false,
  kind: 'text',
  start: 0,
  end: 0,
})

/** Sets the token, and where and how to go on after it. */
export const emit = (
  r: HtmlReader,
  kind: HtmlTokenKind,
  start: number,
  end: number,
  state: HtmlState,
  position: number,
): true => {
  r.kind = kind
  r.start = start
  r.end = end
  r.state = state
  r.position = position
  return true
}

/** A token from here to the end of the text. */
export const emitRest = (r: HtmlReader, kind: HtmlTokenKind): true =>
  emit(r, kind, r.position, r.text.length, 'end', r.text.length)

/** Tab, line feed, vertical tab, form feed, carriage return, space. */
export const isHtmlWhite = (code: number): boolean =>
  (code >= 0x09 && code <= 0x0d) || code === 0x20

/** Skips white space and NUL bytes. @returns The byte after them, undefined at the end. */
export const skipHtmlWhite = (r: HtmlReader): string | undefined => {
  const { text } = r
  while (r.position < text.length) {
    const code = text.charCodeAt(r.position)
    if (code !== 0 && !isHtmlWhite(code)) break
    r.position++
  }
  return text[r.position]
}
