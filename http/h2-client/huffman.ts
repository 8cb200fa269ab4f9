import { endOfString, huffmanCodes } from './huffman-code.ts'
import { latin1 } from './latin1.ts'

/*
 * Decoding walks the code's tree four bits at a time. One entry of `steps` says, for an inner node and a nibble, which
 * node comes next and which octet, if any, was completed on the way: no code is shorter than five bits, so at most one.
 */
const nodeMask = 0xff
const emits = 0x1_0000
const fails = 0x2_0000
const octetShift = 8

type Node = { zero: Node | number | undefined; one: Node | number | undefined }

const buildTree = (): Node[] => {
  const nodes: Node[] = [{ zero: undefined, one: undefined }]
  huffmanCodes.forEach(({ bits, length }, symbol) => {
    let node = nodes[0] as Node
    for (let bit = length - 1; bit >= 0; bit--) {
      const side = (bits >>> bit) & 1 ? 'one' : 'zero'
      if (bit === 0) node[side] = symbol
      else {
        let next = node[side]
        if (typeof next !== 'object') nodes.push((next = { zero: undefined, one: undefined }))
        node[side] = next
        node = next
      }
    }
  })
  return nodes
}

const nodes = buildTree()
const numberOf = new Map(nodes.map((node, at) => [node, at]))

const step = (from: Node, nibble: number): number => {
  let node = from
  let emitted = 0
  for (let bit = 3; bit >= 0; bit--) {
    const next = (nibble >>> bit) & 1 ? node.one : node.zero
    if (next === undefined || next === endOfString) return fails // EOS must not appear (§5.2)
    if (typeof next === 'number') {
      emitted = emits | (next << octetShift)
      node = nodes[0] as Node
    } else node = next
  }
  return emitted | (numberOf.get(node) ?? 0)
}

const steps = new Uint32Array(nodes.length * 16)
nodes.forEach((node, at) => {
  for (let nibble = 0; nibble < 16; nibble++) steps[at * 16 + nibble] = step(node, nibble)
})

/** Whether a string may end at a node: padding is less than an octet of ones (§5.2). */
const mayEnd = new Uint8Array(nodes.length)
for (let node: Node | number | undefined = nodes[0], depth = 0; depth < 8; depth++) {
  if (typeof node !== 'object') break
  mayEnd[numberOf.get(node) ?? 0] = 1
  node = node.one
}

/** The longest string that one call decodes. */
export const maxDecodedBytes = 65_536
/** Holds one string while it is decoded, and nothing between two calls. */
const scratch = Buffer.allocUnsafeSlow(maxDecodedBytes)

/**
 * Decodes a Huffman-coded string.
 *
 * @returns Its octets as latin1; undefined if it is not a valid code, or decodes to more than `maxDecodedBytes`.
 * @see RFC 7541 §5.2
 */
export const huffmanDecode = (bytes: Buffer, start: number, end: number): string | undefined => {
  // Five bits are the shortest code.
  if ((end - start) * 8 > maxDecodedBytes * 5) return undefined
  let node = 0
  let length = 0
  for (let at = start; at < end; at++) {
    const octet = bytes[at] as number
    let taken = steps[(node << 4) | (octet >>> 4)] as number
    if (taken >= emits) {
      if (taken >= fails) return undefined
      scratch[length++] = taken >>> octetShift
    }
    taken = steps[((taken & nodeMask) << 4) | (octet & 15)] as number
    if (taken >= emits) {
      if (taken >= fails) return undefined
      scratch[length++] = taken >>> octetShift
    }
    node = taken & nodeMask
  }
  return mayEnd[node] === 1 ? latin1(scratch, 0, length) : undefined
}

/** How many octets `huffmanEncode` would give. */
export const huffmanLength = (text: string): number => {
  let bits = 0
  for (let at = 0; at < text.length; at++)
    bits += (huffmanCodes[text.charCodeAt(at)] as { length: number }).length
  return Math.ceil(bits / 8)
}

/**
 * Huffman-codes a latin1 string.
 *
 * @returns Octets, as latin1.
 * @see RFC 7541 §5.2
 */
export const huffmanEncode = (text: string): string => {
  let coded = ''
  let pending = 0
  let pendingBits = 0
  for (let at = 0; at < text.length; at++) {
    const code = huffmanCodes[text.charCodeAt(at)] as { bits: number; length: number }
    // Arithmetic, not shifts: up to 7 + 30 bits do not fit in 32.
    pending = pending * 2 ** code.length + code.bits
    pendingBits += code.length
    while (pendingBits >= 8) {
      pendingBits -= 8
      const divisor = 2 ** pendingBits
      const octet = Math.floor(pending / divisor)
      coded += String.fromCharCode(octet)
      pending -= octet * divisor
    }
  }
  if (pendingBits > 0)
    coded += String.fromCharCode((pending << (8 - pendingBits)) | (0xff >>> pendingBits))
  return coded
}
