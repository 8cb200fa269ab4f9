import { isAlias, isMap, isNode, isScalar, isSeq, visit, type LineCounter, type Node } from 'yaml'
import { isInterpolated } from './interpolate.ts'
import { segmentsOfPointer } from './pointer.ts'
import { keyOf } from './yaml-tree.ts'

export type Position = { readonly line: number; readonly column: number }

/** Where something stands. What is not there stands where it would have to be: at the key of the nearest thing above. */
export type Place = {
  readonly key: Position
  readonly value: Position
  /** A value with variables as it was written: what they hold is not shown, for it may be secret. */
  readonly written: string | undefined
}

/** Follows a JSON pointer through parsed YAML. Only faults are looked up, so it need not be fast. */
export const locateIn = (root: unknown, lines: LineCounter, pointer: string): Place => {
  const positionOf = (offset: number): Position => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  let node: unknown = followed(root, root)
  let key = 0
  for (const segment of segmentsOfPointer(pointer)) {
    const next = step(node, segment)
    if (next === undefined)
      return { key: positionOf(key), value: positionOf(key), written: undefined }
    key = next.keyOffset
    node = followed(next.node, root)
  }
  const text = isScalar(node) && typeof node.value === 'string' ? node.value : ''
  return {
    key: positionOf(key),
    // The root's own range begins after the comments above it; a file as a whole is best shown at its first line.
    value: positionOf(pointer === '' ? 0 : (offsetOf(node) ?? key)),
    written: isInterpolated(text) ? text : undefined,
  }
}

const step = (node: unknown, segment: string) => {
  if (isMap(node)) {
    const pair = node.items.find((item) => keyOf(item.key) === segment)
    return pair && { node: pair.value, keyOffset: offsetOf(pair.key) ?? 0 }
  }
  if (!isSeq(node)) return undefined
  const item: unknown = node.items[Number(segment)]
  return item === undefined ? undefined : { node: item, keyOffset: offsetOf(item) ?? 0 }
}

const offsetOf = (node: unknown): number | undefined => (isNode(node) ? node.range?.[0] : undefined)

/** An alias leads to the last node before it that bears its name. */
const followed = (node: unknown, root: unknown): unknown => {
  if (!isAlias(node) || !isNode(root)) return node
  let target: Node | undefined
  visit(root, (_key, seen) => {
    if (seen === node) return visit.BREAK
    if (isNode(seen) && 'anchor' in seen && seen.anchor === node.source) target = seen
    return undefined
  })
  return target
}
