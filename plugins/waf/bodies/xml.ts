import { atOnce, type BodyLimits, type BodySteps } from './body.ts'
import { toUtf8 } from './xml-encoding.ts'
import type { XmlReader } from './xml-text.ts'
import {
  hasForbiddenBytes,
  readXmlName,
  readXmlUntil,
  resolveReferences,
  skipXmlSpace,
  takeXml,
} from './xml-text.ts'

type Fault = { readonly error: string; readonly overLimit?: boolean }

type Walk = {
  readonly reader: XmlReader
  readonly limits: BodyLimits
  /** The elements that are open. */
  readonly open: string[]
  readonly texts: string[]
  readonly attributes: string[]
  attributeCount: number
  hasRoot: boolean
  hasDoctype: boolean
  /** What is not malformed but refused, while reading goes on for what the rules may find. */
  refusal: Fault | undefined
}

const fault = (reason: string): Fault => ({ error: `XML parsing error: ${reason}` })

const tooMany = (what: string): Fault => ({ ...fault(what), overLimit: true })

/** A start tag is read in one piece. */
const maxAttributesOfOne = 1000

const malformed = ({ reader }: Walk): Fault => fault(`malformed at byte ${reader.at}.`)

/** Ends of lines are one line feed (XML 1.0 §2.11). */
const withLineFeeds = (text: string): string =>
  text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text

const readAttribute = (w: Walk, seen: Set<string>): Fault | undefined => {
  const { reader, limits } = w
  const name = readXmlName(reader)
  if (name === undefined || seen.has(name)) return malformed(w)
  seen.add(name)
  skipXmlSpace(reader)
  if (!takeXml(reader, '=')) return malformed(w)
  skipXmlSpace(reader)
  const quote = reader.text[reader.at]
  if (quote !== '"' && quote !== "'") return malformed(w)
  reader.at++
  const written = readXmlUntil(reader, quote)
  if (written === undefined) return malformed(w)
  // White space in a value is a space, unless it is a reference (§3.3.3).
  const spaced = withLineFeeds(written).replace(/[\t\n]/g, ' ')
  const value = resolveReferences(spaced, reader.keepsUnknownEntities)
  if (++w.attributeCount > limits.maxXmlAttributes)
    return tooMany(`more than ${limits.maxXmlAttributes} attributes.`)
  if (seen.size > maxAttributesOfOne)
    return tooMany(`more than ${maxAttributesOfOne} attributes of one element.`)
  if (name !== 'xmlns' && !name.startsWith('xmlns:')) w.attributes.push(value ?? written)
  return value === undefined || written.includes('<') ? malformed(w) : undefined
}

const readStartTag = (w: Walk): Fault | undefined => {
  const { reader, open, limits } = w
  const name = readXmlName(reader)
  if (name === undefined || (open.length === 0 && w.hasRoot)) return malformed(w)
  w.hasRoot = true
  let seen: Set<string> | undefined
  for (;;) {
    const hasSpace = skipXmlSpace(reader)
    if (takeXml(reader, '/>')) return undefined
    if (takeXml(reader, '>')) {
      if (open.length === limits.maxDepth) return tooMany(`nests deeper than ${limits.maxDepth}.`)
      open.push(name)
      return undefined
    }
    if (!hasSpace) return malformed(w)
    seen ??= new Set()
    const failed = readAttribute(w, seen)
    if (failed !== undefined) return failed
  }
}

const readEndTag = (w: Walk): Fault | undefined => {
  const { reader, open } = w
  const name = readXmlName(reader)
  skipXmlSpace(reader)
  return name === undefined || open.pop() !== name || !takeXml(reader, '>')
    ? malformed(w)
    : undefined
}

const readComment = (w: Walk): Fault | undefined => {
  const { reader } = w
  return readXmlUntil(reader, '--') !== undefined && takeXml(reader, '>') ? undefined : malformed(w)
}

const readInstruction = (w: Walk): Fault | undefined => {
  const { reader } = w
  const target = readXmlName(reader)
  if (target === undefined || target.toLowerCase() === 'xml') return malformed(w)
  if (takeXml(reader, '?>')) return undefined
  return skipXmlSpace(reader) && readXmlUntil(reader, '?>') !== undefined ? undefined : malformed(w)
}

const readCdata = (w: Walk): Fault | undefined => {
  const content = w.open.length === 0 ? undefined : readXmlUntil(w.reader, ']]>')
  if (content === undefined) return malformed(w)
  w.texts.push(withLineFeeds(content))
  return undefined
}

/**
 * Passes over a document type as far as one of the bytes that end it, but for those in quotes and comments.
 *
 * @returns That byte, undefined if there is none.
 */
const skipToEndOf = (reader: XmlReader, ends: string): string | undefined => {
  for (;;) {
    const next = reader.text[reader.at]
    if (next === undefined || ends.includes(next)) return next
    if (takeXml(reader, '<!--')) {
      if (readXmlUntil(reader, '-->') === undefined) return undefined
      continue
    }
    reader.at++
    const isQuote = next === '"' || next === "'"
    if (isQuote && readXmlUntil(reader, next) === undefined) return undefined
  }
}

/**
 * A document type is read over, never acted upon: its entities are not expanded and nothing is fetched. One that is more
 * than a name is refused, for applications may do either.
 */
const readDoctype = (w: Walk): Fault | undefined => {
  const { reader } = w
  if (w.hasRoot || w.hasDoctype || !skipXmlSpace(reader)) return malformed(w)
  w.hasDoctype = true
  if (readXmlName(reader) === undefined) return malformed(w)
  skipXmlSpace(reader)
  if (takeXml(reader, '>')) return undefined
  w.refusal = fault('a document type with declarations or an external part is refused.')
  reader.keepsUnknownEntities = true
  if (skipToEndOf(reader, '[>') === '[') {
    reader.at++
    if (skipToEndOf(reader, ']') === undefined) return malformed(w)
    reader.at++
    skipXmlSpace(reader)
  }
  return takeXml(reader, '>') ? undefined : malformed(w)
}

const readText = (w: Walk): Fault | undefined => {
  const { reader, open, texts } = w
  const found = reader.text.indexOf('<', reader.at)
  const end = found === -1 ? reader.text.length : found
  const written = reader.text.slice(reader.at, end)
  if (open.length === 0) {
    if (/[^ \t\r\n]/.test(written)) return malformed(w)
  } else {
    const text = resolveReferences(withLineFeeds(written), reader.keepsUnknownEntities)
    texts.push(text ?? written)
    if (text === undefined || written.includes(']]>')) return malformed(w)
  }
  reader.at = end
  return undefined
}

const readNext = (w: Walk): Fault | undefined => {
  const { reader } = w
  if (reader.text[reader.at] !== '<') return readText(w)
  if (takeXml(reader, '</')) return readEndTag(w)
  if (takeXml(reader, '<!--')) return readComment(w)
  if (takeXml(reader, '<![CDATA[')) return readCdata(w)
  if (takeXml(reader, '<!DOCTYPE')) return readDoctype(w)
  if (takeXml(reader, '<?')) return readInstruction(w)
  reader.at++
  return readStartTag(w)
}

const xmlDeclaration =
  /^<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(["'])1\.[0-9]+\1(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?:"[\w.:-]+"|'[\w.:-]+'))?(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\r\n]*\?>/

/** Tags, texts and the like read between two pauses. */
const stepsPerPiece = 250

const walkThrough = function* (w: Walk): Generator<undefined, Fault | undefined> {
  const { reader } = w
  reader.at = xmlDeclaration.exec(reader.text)?.[0].length ?? 0
  for (let step = 1; reader.at < reader.text.length; step++) {
    if (step % stepsPerPiece === 0) yield
    const failed = readNext(w)
    if (failed !== undefined) return failed
  }
  return w.open.length > 0 || !w.hasRoot ? malformed(w) : undefined
}

/**
 * XML 1.0, checked for well-formedness but not for validity, and what the two XPaths of CRS select in it. Nothing is
 * fetched or expanded (CWE-611, CWE-776); see `readDoctype`. An empty body is not an error.
 */
export const xmlSteps: BodySteps = function* (body, limits) {
  if (body === '') return { args: [] }
  const text = toUtf8(body)
  if (text === undefined || hasForbiddenBytes(text))
    return { args: [], ...fault('bytes that are not of its encoding, or forbidden.') }
  const w: Walk = {
    reader: { text, at: 0, keepsUnknownEntities: false },
    limits,
    open: [],
    texts: [],
    attributes: [],
    attributeCount: 0,
    hasRoot: false,
    hasDoctype: false,
    refusal: undefined,
  }
  const failed = (yield* walkThrough(w)) ?? w.refusal
  const texts = w.hasRoot ? [w.texts.join('')] : []
  return { args: [], xml: { texts, attributes: w.attributes }, ...failed }
}

export const xmlBody = atOnce(xmlSteps)
