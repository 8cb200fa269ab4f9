import { wordsOf, wordTable } from '../word-table.ts'
import { attributeData, eventData, tagData } from './name-data.ts'

/**
 * What makes an attribute dangerous: `black` with any value, `url` with one that runs code, `style` with any value
 * (expressions, old browsers), `indirect` if its value names a dangerous attribute (SVG).
 */
export type AttributeDanger = 'black' | 'url' | 'style' | 'indirect'

const tags = wordTable(wordsOf(tagData).map((name) => [name, true] as const))
const attributes = wordTable<AttributeDanger>([
  ...wordsOf(eventData).map((name) => [`ON${name}`, 'black'] as const),
  ...wordsOf(attributeData.black).map((name) => [name, 'black'] as const),
  ...wordsOf(attributeData.url).map((name) => [name, 'url'] as const),
  ...wordsOf(attributeData.style).map((name) => [name, 'style'] as const),
  ...wordsOf(attributeData.indirect).map((name) => [name, 'indirect'] as const),
])

/** Old browsers ignore NUL bytes in names. */
const withoutNul = (name: string): string =>
  name.includes('\0') ? name.replaceAll('\0', '') : name

const startsWithWord = (name: string, word: string): boolean =>
  name.slice(0, word.length).toUpperCase() === word

/** Elements that load or run something, and all of SVG and XSL. */
export const isDangerousTag = (written: string): boolean => {
  if (written.length < 3) return false
  const name = withoutNul(written)
  return (
    tags.find(name, 0, name.length) === true ||
    startsWithWord(name, 'SVG') ||
    startsWithWord(name, 'XSL')
  )
}

export const dangerOf = (written: string): AttributeDanger | undefined => {
  const name = withoutNul(written)
  // With a namespace of its own, any element can be made any other.
  if (startsWithWord(name, 'XMLNS') || startsWithWord(name, 'XLINK')) return 'black'
  return attributes.find(name, 0, name.length)
}
