import { derTag } from './der.ts'

/** An element with this tag around these parts, which are DER or plain content. */
export const writeDer = (tag: number, ...parts: readonly Buffer[]): Buffer => {
  const content = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([tag, ...lengthOf(content.length)]), content])
}

export const writeSequence = (...parts: readonly Buffer[]): Buffer =>
  writeDer(derTag.sequence, ...parts)

/** Bits whose number is a multiple of eight. */
export const writeBits = (bytes: Buffer): Buffer =>
  writeDer(derTag.bitString, Buffer.from([0]), bytes)

/** @param dotted Such as `1.2.840.10045.4.3.2`. */
export const writeObjectIdentifier = (dotted: string): Buffer => {
  const [top = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = [top * 40 + second, ...rest].flatMap(base128)
  return writeDer(derTag.objectIdentifier, Buffer.from(bytes))
}

const base128 = (arc: number): number[] => {
  const bytes = [arc % 128]
  for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
    bytes.unshift((left % 128) | 0x80)
  return bytes
}

const lengthOf = (length: number): number[] => {
  if (length < 0x80) return [length]
  const bytes: number[] = []
  for (let left = length; left > 0; left = Math.floor(left / 256)) bytes.unshift(left % 256)
  return [0x80 | bytes.length, ...bytes]
}
