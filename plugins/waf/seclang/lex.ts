import { SecLangError, type Directive } from './syntax.ts'

/**
 * Splits a rule file into directives: joins lines that end in a backslash, drops comments, takes quotes off words.
 *
 * @throws SecLangError with file and line, for a quote that is not closed.
 */
export const lex = (text: string, file: string): readonly Directive[] => {
  const directives: Directive[] = []
  const lines = text.split('\n')
  for (let i = 0; i < lines.length; i++) {
    const line = i + 1
    let joined = (lines[i] ?? '').replace(/\r$/, '')
    // A comment never goes on in the next line: else a stray backslash would swallow a rule.
    if (/^\s*(?:#|$)/.test(joined)) continue
    while (joined.endsWith('\\') && i + 1 < lines.length) {
      i++
      joined = joined.slice(0, -1) + (lines[i] ?? '').replace(/\r$/, '')
    }
    const [name, ...words] = splitWords(joined, file, line)
    if (name !== undefined) directives.push({ file, line, name, words })
  }
  return directives
}

/** Words are separated by white space; in double quotes `\"` is a quote, every other backslash stays. */
const splitWords = (text: string, file: string, line: number): readonly string[] => {
  const words: string[] = []
  for (let at = 0; at < text.length;) {
    const char = text[at] ?? ''
    if (char === ' ' || char === '\t') {
      at++
      continue
    }
    if (char !== '"' && char !== "'") {
      const end = endOfBareWord(text, at)
      words.push(text.slice(at, end))
      at = end
      continue
    }
    const end = endOfQuoted(text, at)
    if (end < 0) throw new SecLangError({ file, line }, `a ${char} that is not closed`)
    words.push(text.slice(at + 1, end).replaceAll(`\\${char}`, char))
    at = end + 1
  }
  return words
}

const endOfBareWord = (text: string, from: number): number => {
  let end = from
  while (end < text.length && text[end] !== ' ' && text[end] !== '\t') end++
  return end
}

const endOfQuoted = (text: string, from: number): number => {
  for (let at = from + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === text[from]) return at
  }
  return -1
}
