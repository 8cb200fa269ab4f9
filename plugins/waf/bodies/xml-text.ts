import { utf8Of } from './encode.ts'

/** Reads the words of XML 1.0 from UTF-8 bytes, one character a byte. */
export type XmlReader = {
  readonly text: string
  at: number
  /** Set where a document type may declare entities: then an unknown reference stays as it is written. */
  keepsUnknownEntities: boolean
}

/** Names as far as ASCII goes; any byte from 0x80 on may be in a name. */
const name = /[A-Za-z_:\x80-\xff][-A-Za-z0-9_:.\x80-\xff]*/y
const space = /[ \t\r\n]*/y

/** Passes over white space. @returns Whether there was any. */
export const skipXmlSpace = (r: XmlReader): boolean => {
  const start = r.at
  space.lastIndex = start
  r.at += space.exec(r.text)?.[0].length ?? 0
  return r.at > start
}

export const readXmlName = (r: XmlReader): string | undefined => {
  name.lastIndex = r.at
  const found = name.exec(r.text)?.[0]
  if (found !== undefined) r.at += found.length
  return found
}

/** Passes over `mark` if it is here. */
export const takeXml = (r: XmlReader, mark: string): boolean => {
  if (!r.text.startsWith(mark, r.at)) return false
  r.at += mark.length
  return true
}

/** What is before the next `mark`, and passes over both; undefined if there is none. */
export const readXmlUntil = (r: XmlReader, mark: string): string | undefined => {
  const end = r.text.indexOf(mark, r.at)
  if (end === -1) return undefined
  const found = r.text.slice(r.at, end)
  r.at = end + mark.length
  return found
}

/** The code points of XML 1.0 §2.2. */
const isXmlCharacter = (point: number): boolean =>
  point === 0x09 ||
  point === 0x0a ||
  point === 0x0d ||
  (point >= 0x20 && point <= 0xd7ff) ||
  (point >= 0xe000 && point <= 0xfffd) ||
  (point >= 0x10000 && point <= 0x10ffff)

const predefined: Readonly<Record<string, string>> = {
  lt: '<',
  gt: '>',
  amp: '&',
  quot: '"',
  apos: "'",
}

const isReference =
  /^(?:#[0-9]{1,10}|#x[0-9A-Fa-f]{1,8}|[A-Za-z_:\x80-\xff][-A-Za-z0-9_:.\x80-\xff]*)$/

/** What `&…;` stands for, undefined if it is none of the five names and no character. */
const resolve = (reference: string, keepsUnknown: boolean): string | undefined => {
  if (!isReference.test(reference)) return undefined
  if (!reference.startsWith('#')) {
    if (Object.hasOwn(predefined, reference)) return predefined[reference]
    return keepsUnknown ? `&${reference};` : undefined
  }
  const point = reference.startsWith('#x')
    ? Number.parseInt(reference.slice(2), 16)
    : Number.parseInt(reference.slice(1), 10)
  if (!isXmlCharacter(point)) return undefined
  return utf8Of(point)
}

const longestReference = 256

/** Text or an attribute's value with its references resolved; undefined if one of them is not well-formed. */
export const resolveReferences = (written: string, keepsUnknown: boolean): string | undefined => {
  let at = written.indexOf('&')
  if (at === -1) return written
  const pieces: string[] = []
  let copied = 0
  while (at !== -1) {
    const near = written.slice(at + 1, at + 1 + longestReference)
    const length = near.indexOf(';')
    const meant = length === -1 ? undefined : resolve(near.slice(0, length), keepsUnknown)
    if (meant === undefined) return undefined
    pieces.push(written.slice(copied, at), meant)
    copied = at + length + 2
    at = written.indexOf('&', copied)
  }
  pieces.push(written.slice(copied))
  return pieces.join('')
}

/** Bytes that no XML document may have (§2.2): controls, U+FFFE and U+FFFF. */
export const hasForbiddenBytes = (text: string): boolean =>
  /[^\t\n\r\x20-\xff]|\xef\xbf[\xbe\xbf]/.test(text)
