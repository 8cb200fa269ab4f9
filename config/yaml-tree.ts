import { isAlias, isMap, isNode, isScalar, isSeq, Scalar, type Node } from 'yaml'
import { tick } from './faults.ts'
import { interpolate, isInterpolated, type Environment } from './interpolate.ts'
import { pointerTo, readablePath } from './pointer.ts'

// Enough for 30,000 routes; what stops a file whose aliases multiply (the "billion laughs").
const maxNodes = 1_000_000
const maxCharacters = 67_108_864
const maxDepth = 32
const maxComplaints = 200

type Complaint = {
  readonly offset: number
  readonly path: string
  readonly message: string
  readonly remedy: string
}

export type PlainTree = {
  readonly value: unknown
  readonly complaints: readonly Complaint[]
  /** Pointers to the values that were complained of. */
  readonly spoilt: ReadonlySet<string>
}

/**
 * Turns parsed YAML into plain objects, lists and scalars: variables filled in, aliases followed within bounds, keys
 * text and unique.
 */
export const plainTree = (root: unknown, environment: Environment): PlainTree => {
  const complaints: Complaint[] = []
  const spoilt = new Set<string>()
  const anchors = new Map<string, Node>()
  const open = new Set<unknown>() // what we are inside of, so that an alias to it is noticed
  let nodes = 0
  let characters = 0

  const complain = (node: unknown, pointer: string, message: string, remedy: string) => {
    spoilt.add(pointer)
    if (complaints.length >= maxComplaints) return
    const offset = isNode(node) ? (node.range?.[0] ?? 0) : 0
    complaints.push({ offset, path: readablePath(pointer), message, remedy })
  }

  const plain = (node: unknown, pointer: string, depth: number): unknown => {
    if (++nodes > maxNodes) throw tooMuch
    if (!isNode(node)) return null
    if (isScalar(node)) {
      if (node.anchor !== undefined) anchors.set(node.anchor, node)
      return scalar(node, pointer)
    }
    const target = isAlias(node) ? anchors.get(node.source) : node
    if (target === undefined || open.has(target)) {
      complain(node, pointer, ...aliasTrouble(isAlias(node) ? node.source : '', open.has(target)))
      return null
    }
    if (isScalar(target)) return scalar(target, pointer)
    if (depth >= maxDepth) {
      complain(
        node,
        pointer,
        'this is nested too deeply',
        'nothing here goes deeper than ten levels',
      )
      return null
    }
    if ('anchor' in target && typeof target.anchor === 'string') anchors.set(target.anchor, target)
    open.add(target)
    const value = isSeq(target)
      ? target.items.map((item, i) => plain(item, pointerTo(pointer, i), depth + 1))
      : isMap(target)
        ? mapping(target.items, pointer, depth)
        : null
    open.delete(target)
    return value
  }

  const mapping = (
    items: readonly { readonly key: unknown; readonly value: unknown }[],
    pointer: string,
    depth: number,
  ) => {
    const value: Record<string, unknown> = {}
    for (const { key: keyNode, value: valueNode } of items) {
      const key = keyOf(keyNode)
      if (key === undefined || key === '__proto__') {
        complain(keyNode, pointer, 'this cannot be a key', 'keys are plain text')
        continue
      }
      const below = pointerTo(pointer, key)
      if (Object.hasOwn(value, key))
        complain(keyNode, below, `${tick(key)} stands here twice`, 'keep one of the two')
      else value[key] = plain(valueNode, below, depth + 1)
    }
    return value
  }

  const scalar = (node: Scalar, pointer: string): unknown => {
    if (typeof node.value !== 'string' || !isInterpolated(node.value)) return node.value
    const { text, complaints: found } = interpolate(node.value, environment)
    if ((characters += text.length) > maxCharacters) throw tooMuch
    for (const { message, remedy } of found) complain(node, pointer, message, remedy)
    return node.type === Scalar.PLAIN ? asPlainScalar(text) : text
  }

  try {
    return { value: plain(root, '', 0), complaints, spoilt }
  } catch (cause) {
    if (cause !== tooMuch) throw cause
    complain(root, '', 'there is more here than is read', 'do without nested aliases')
    return { value: {}, complaints, spoilt }
  }
}

const tooMuch = new Error('too many values')

/** A key as it was written: `8443:` is the key "8443". */
export const keyOf = (node: unknown): string | undefined => {
  if (!isScalar(node)) return undefined
  return typeof node.value === 'string' ? node.value : node.source
}

/** What was filled in without quotes is a number or a boolean where YAML would read one. */
const asPlainScalar = (text: string): unknown => {
  if (text === 'true' || text === 'false') return text === 'true'
  return /^-?(0|[1-9]\d{0,14})$/.test(text) ? Number(text) : text
}

const aliasTrouble = (name: string, inside: boolean): [message: string, remedy: string] => {
  if (inside) return ['this alias contains itself', 'write out what is meant']
  return [
    `\`*${name}\` is an alias in YAML, and nothing is called ${tick(name)}`,
    `put it in quotes if it is text: "*${name}"`,
  ]
}
