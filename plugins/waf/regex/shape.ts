import type { Node } from './syntax.ts'

/** How many instructions a pattern will take, about. Repeats with counts multiply. */
export const sizeOf = (node: Node): number => {
  switch (node.kind) {
    case 'set':
    case 'assert':
    case 'backreference':
      return 1
    case 'concat':
    case 'alternate':
      return node.items.reduce((sum, item) => sum + sizeOf(item) + 2, 0)
    case 'group':
    case 'look':
    case 'atomic':
      return sizeOf(node.item) + 2
    case 'repeat':
      return (sizeOf(node.item) + 2) * Math.max(1, node.max < 0 ? node.min + 1 : node.max)
    default:
      return node satisfies never
  }
}

/**
 * Whether backtracking takes at most quadratic time: no more than two repeats, none inside another, and nothing
 * optional besides. Short subjects of such patterns may go to V8, which starts faster than our automaton.
 */
export const isSimple = (root: Node): boolean => countRepeats(root, false) <= 2

const tooMany = 100
const countRepeats = (node: Node, inside: boolean): number => {
  switch (node.kind) {
    case 'set':
    case 'assert':
      return 0
    case 'concat':
    case 'alternate':
      return node.items.reduce((sum, item) => sum + countRepeats(item, inside), 0)
    case 'group':
      return countRepeats(node.item, inside)
    case 'repeat': {
      const inner = countRepeats(node.item, true)
      return inside || inner > 0 || (node.item.kind !== 'set' && node.item.kind !== 'group')
        ? tooMany
        : 1
    }
    case 'look':
    case 'atomic':
    case 'backreference':
      return tooMany
    default:
      return node satisfies never
  }
}
