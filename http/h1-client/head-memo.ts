import { recurring } from '../recurring.ts'
import { type AnswerHead, parseAnswerHead } from './answer-head.ts'

const maxRememberedChars = 1024

/** A reader of answers' heads that remembers whole ones: most answers of one service begin alike, for a second at least. */
export const headReader = (): ((text: string) => AnswerHead | string) => {
  const known = recurring<AnswerHead>()
  return (text) => {
    if (text.length > maxRememberedChars || known.rests()) return parseAnswerHead(text)
    const before = known.get(text)
    if (before !== undefined) return before
    const head = parseAnswerHead(text)
    if (typeof head !== 'string') known.set(text, head)
    return head
  }
}
