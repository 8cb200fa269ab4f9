import type { Slice } from '../word-table.ts'
import { startsWithWord, wordsOf, wordTable } from '../word-table.ts'
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

/** Elements that load or run something, and all of SVG and XSL. */
export const isDangerousTag = (name: Slice): boolean =>
  tags.find(name.text, name.start, name.end) === true ||
  startsWithWord(name, 'SVG') ||
  startsWithWord(name, 'XSL')

export const dangerOf = (name: Slice): AttributeDanger | undefined => {
  // With a namespace of its own, any element can be made any other.
  if (startsWithWord(name, 'XMLNS') || startsWithWord(name, 'XLINK')) return 'black'
  return attributes.find(name.text, name.start, name.end)
}
