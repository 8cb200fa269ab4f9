import type { HtmlReader } from './html-reader.ts'
import { emit, emitRest } from './html-reader.ts'

/** Up to the next `>`: what follows `<?`, `<!` and `</` where no name does. */
export const bogusComment = (r: HtmlReader): true => {
  const end = r.text.indexOf('>', r.position)
  return end === -1 ? emitRest(r, 'comment') : emit(r, 'comment', r.position, end, 'data', end + 1)
}

/** `<% … %>`, a comment in Internet Explorer up to 9 and Safari before 4. */
export const percentComment = (r: HtmlReader): true => {
  const end = r.text.indexOf('%>', r.position)
  return end === -1 ? emitRest(r, 'comment') : emit(r, 'comment', r.position, end, 'data', end + 2)
}

/** Up to `-->` or `-!>`; NUL bytes after the first dash do not count. */
const dashComment = (r: HtmlReader): true => {
  const { text, position } = r
  for (let dash = text.indexOf('-', position); dash !== -1; dash = text.indexOf('-', dash + 1)) {
    let second = dash + 1
    while (text.charCodeAt(second) === 0) second++
    if ((text[second] === '-' || text[second] === '!') && text[second + 1] === '>')
      return emit(r, 'comment', position, dash, 'data', second + 2)
  }
  return emitRest(r, 'comment')
}

const cdata = (r: HtmlReader): true => {
  const end = r.text.indexOf(']]>', r.position)
  return end === -1 ? emitRest(r, 'text') : emit(r, 'text', r.position, end, 'data', end + 3)
}

const doctype = (r: HtmlReader): true => {
  const end = r.text.indexOf('>', r.position)
  return end === -1 ? emitRest(r, 'doctype') : emit(r, 'doctype', r.position, end, 'data', end + 1)
}

/** What follows `<!`. */
export const markupDeclaration = (r: HtmlReader): true => {
  const { text, position } = r
  if (text.slice(position, position + 7).toUpperCase() === 'DOCTYPE') return doctype(r)
  if (text.startsWith('[CDATA[', position)) {
    r.position += 7
    return cdata(r)
  }
  if (text.startsWith('--', position)) {
    r.position += 2
    return dashComment(r)
  }
  return bogusComment(r)
}
