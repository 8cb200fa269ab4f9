import { anyByte, bytesOf, type ByteSet } from './byte-set.ts'
import type { Node, Parsed } from './syntax.ts'

/** A pattern for V8, and which of its groups are those of the pattern that it was made from. */
export type Printed = { readonly regex: RegExp; readonly groups: readonly number[] }

const hex = (byte: number): string => `\\x${byte.toString(16).padStart(2, '0')}`
const plain = /[A-Za-z0-9_ ]/

const printSet = (set: ByteSet): string => {
  const bytes = bytesOf(set)
  const [first] = bytes
  if (first === undefined) return '[]'
  if (bytes.length === 256) return '[^]'
  const char = String.fromCharCode(first)
  if (bytes.length === 1) return plain.test(char) ? char : hex(first)
  let text = ''
  for (let i = 0; i < bytes.length;) {
    let end = i
    while (bytes[end + 1] === (bytes[end] ?? 0) + 1) end++
    const [from = 0, to = 0] = [bytes[i], bytes[end]]
    text += end > i ? `${hex(from)}-${hex(to)}` : hex(from)
    i = end + 1
  }
  return `[${text}]`
}

const assertions = {
  start: '^',
  end: '$',
  lineStart: '(?<![^\\n])',
  lineEnd: '(?![^\\n])',
  word: '\\b',
  notWord: '\\B',
} as const

/**
 * Prints a pattern so that V8, without any flag, matches the same bytes. Atomic groups become a look-ahead that
 * captures and a reference to it, for a look-ahead once left is not entered again.
 */
export const printPattern = ({ root, groupCount }: Parsed): Printed => {
  const groups: number[] = [0]
  let opened = 0
  const print = (node: Node): string => {
    switch (node.kind) {
      case 'set':
        return node.set === anyByte ? '[^]' : printSet(node.set)
      case 'concat':
        return node.items
          .map((item) => (item.kind === 'alternate' ? wrap(item) : print(item)))
          .join('')
      case 'alternate':
        return node.items.map(print).join('|')
      case 'group':
        groups[node.index] = ++opened
        return `(${print(node.item)})`
      case 'repeat': {
        const { min, max, greedy } = node
        if (max === 0) return '(?:)'
        return `${wrap(node.item)}{${min},${max < 0 ? '' : max}}${greedy ? '' : '?'}`
      }
      case 'assert':
        return assertions[node.what]
      case 'look':
        return `(?${node.ahead ? '' : '<'}${node.negated ? '!' : '='}${print(node.item)})`
      case 'atomic': {
        const index = ++opened
        return `(?=(${print(node.item)}))(?:\\${index})`
      }
      case 'backreference':
        return `(?:\\${groups[node.index] ?? node.index})`
      default:
        return node satisfies never
    }
  }
  const wrap = (node: Node): string =>
    node.kind === 'set' || node.kind === 'group' ? print(node) : `(?:${print(node)})`
  const regex = new RegExp(print(root))
  return { regex, groups: Array.from({ length: groupCount + 1 }, (_, i) => groups[i] ?? 0) }
}
