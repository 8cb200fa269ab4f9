import { bad, good, type Outcome } from '../outcome.ts'

/** One element of DER, with its bytes as they were received. */
export type Der = {
  readonly tag: number
  /** The whole element, header included: what signatures are over. */
  readonly bytes: Buffer
  readonly content: Buffer
}

/** Tags as they stand in the first byte: class, constructed flag and number in one. */
export const derTag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
} as const

/** `[number]`, as `implicit` primitive or as `explicit` constructed context tag. */
export const contextTag = (number: number, form: 'primitive' | 'constructed'): number =>
  0x80 | number | (form === 'constructed' ? 0x20 : 0)

/** Thrown by everything that reads, caught by `readingDer`: nothing else has to look at it. */
class DerFault extends Error {
  override readonly name = 'DerFault'
}

/**
 * Runs what reads DER.
 *
 * @returns What `read` returns, or why the bytes are not what it wants. Other errors are bugs and go on.
 */
export const readingDer = <T>(read: () => T): Outcome<T> => {
  try {
    return good(read())
  } catch (cause) {
    if (cause instanceof DerFault) return bad(cause.message)
    throw cause
  }
}

/** For what a reader finds wrong itself. */
export const derFault = (message: string): never => {
  throw new DerFault(message)
}

/**
 * Reads bytes that are one element and nothing after it. Strict: lengths definite and as short as can be, tags of one
 * byte. BER, which OpenSSL and node-forge take as well, lets one certificate have many spellings.
 */
export const derOf = (bytes: Buffer, tag: number): Der => {
  const element = elementAt(bytes, 0)
  if (element.bytes.length !== bytes.length) return derFault('there is something after the DER')
  return expectTag(element, tag)
}

/** The elements that a constructed one is made of. */
export const derChildren = (parent: Der): readonly Der[] => derElements(parent.content)

/** Elements that stand one after the other, and nothing else. */
export const derElements = (bytes: Buffer): readonly Der[] => {
  const elements: Der[] = []
  for (let at = 0; at < bytes.length;) {
    const element = elementAt(bytes, at)
    elements.push(element)
    at += element.bytes.length
  }
  return elements
}

/** The child at `index`, which must be there and have this tag. */
export const derChild = (parent: Der, index: number, tag: number): Der => {
  const child = derChildren(parent)[index]
  return child ? expectTag(child, tag) : derFault(`element ${index} is missing`)
}

export const expectTag = (element: Der | undefined, tag: number): Der =>
  element?.tag === tag
    ? element
    : derFault(`found tag ${hex(element?.tag)} where ${hex(tag)} belongs`)

/** A non-negative integer, big-endian, without the zero that only keeps it from being negative. */
export const derUnsigned = (element: Der): Buffer => {
  const { content } = expectTag(element, derTag.integer)
  const [first, second] = content
  if (first === undefined || first >= 0x80) return derFault('an integer is empty or negative')
  if (first !== 0 || second === undefined) return content
  return second >= 0x80 ? content.subarray(1) : derFault('an integer is not as short as can be')
}

export const derBoolean = (element: Der): boolean => {
  const { content } = expectTag(element, derTag.boolean)
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff))
    return derFault('a boolean is neither 00 nor FF')
  return content[0] === 0xff
}

/** Bits without the octet that counts the unused ones, which must be zero. */
export const derBits = (element: Der): Buffer => {
  const { content } = expectTag(element, derTag.bitString)
  const [unused] = content
  const last = content.at(-1)
  if (unused === undefined || unused > 7 || (content.length === 1 && unused !== 0))
    return derFault('a bit string is malformed')
  if (content.length > 1 && last !== undefined && (last & ((1 << unused) - 1)) !== 0)
    return derFault('unused bits of a bit string are set')
  return content.subarray(1)
}

export const derOctets = (element: Der): Buffer => expectTag(element, derTag.octetString).content

/** In dotted form; arcs that do not fit an integer are a fault, and so are padded ones. */
export const derObjectIdentifier = (element: Der): string => {
  const { content } = expectTag(element, derTag.objectIdentifier)
  const arcs: number[] = []
  let arc = 0
  let isFirstOfArc = true
  for (const byte of content) {
    if (isFirstOfArc && byte === 0x80) return derFault('an object identifier is padded')
    arc = arc * 128 + (byte & 0x7f)
    if (!Number.isSafeInteger(arc)) return derFault('an object identifier is too large')
    isFirstOfArc = byte < 0x80
    if (isFirstOfArc) {
      arcs.push(arc)
      arc = 0
    }
  }
  const [joined, ...rest] = arcs
  if (joined === undefined || !isFirstOfArc) return derFault('an object identifier is cut off')
  const top = Math.min(2, Math.floor(joined / 40))
  return [top, joined - top * 40, ...rest].join('.')
}

/** UTCTime or GeneralizedTime in the one form that RFC 5280 §4.1.2.5 allows, in milliseconds since 1970. */
export const derTime = (element: Der | undefined): number => {
  const text = element?.content.toString('latin1') ?? ''
  const digits = element?.tag === derTag.utcTime ? centuryOf(text) + text : text
  const isTime = element?.tag === derTag.utcTime || element?.tag === derTag.generalizedTime
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(digits)
  if (!isTime || !parts) return derFault('a time is not in the form that certificates use')
  const [, year, month, day, hour, minute, second] = parts
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`
  // oxlint-disable-next-line no-restricted-globals -- converts an instant that was given, reads no clock
  const date = new Date(iso)
  // A day that does not exist is either refused by Date or moved into the next month.
  if (Number.isNaN(date.getTime()) || date.toISOString() !== iso)
    return derFault('a time does not exist')
  return date.getTime()
}

const centuryOf = (utcTime: string): string => (Number(utcTime.slice(0, 2)) >= 50 ? '19' : '20')

const elementAt = (bytes: Buffer, at: number): Der => {
  const [tag, first] = [bytes[at], bytes[at + 1]]
  if (tag === undefined || first === undefined) return derFault('an element is cut off')
  if ((tag & 0x1f) === 0x1f) return derFault('a tag is longer than one byte')
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f
  if (first === 0x80 || lengthBytes > 3) return derFault('a length is indefinite or too large')
  const start = at + 2 + lengthBytes
  if (start > bytes.length) return derFault('a length is cut off')
  const length = lengthBytes === 0 ? first : bytes.readUIntBE(at + 2, lengthBytes)
  const shortest = length < 0x80 ? 0 : length < 0x100 ? 1 : length < 0x10000 ? 2 : 3
  if (lengthBytes !== shortest) return derFault('a length is not as short as can be')
  if (start + length > bytes.length) return derFault('an element is cut off')
  return {
    tag,
    bytes: bytes.subarray(at, start + length),
    content: bytes.subarray(start, start + length),
  }
}

const hex = (tag: number | undefined): string =>
  tag === undefined ? 'nothing' : `0x${tag.toString(16).padStart(2, '0')}`
