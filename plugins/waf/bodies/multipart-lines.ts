import type { Argument, BodyLimits, PartHeader, UploadedFile } from './body.ts'
import { tooManyArguments } from './body.ts'
import type { Boundary } from './multipart-boundary.ts'
import type { OpenFlags } from './multipart-flags.ts'
import type { Part } from './multipart-part.ts'
import { newPart, readHeaderLine } from './multipart-part.ts'

export type Fault = { readonly error: string; readonly overLimit?: boolean }

/** A multipart body while it is read. */
export type Walk = {
  readonly body: string
  readonly boundary: Boundary
  /** What a boundary line begins with. */
  readonly mark: string
  readonly limits: BodyLimits
  readonly flags: OpenFlags
  readonly args: Argument[]
  readonly files: UploadedFile[]
  readonly partHeaders: PartHeader[]
  part: Part | undefined
  boundaries: number
  /** Lines that begin with two dashes, but not with our boundary. */
  dashLines: number
  headerLines: number
  noFilesBytes: number
}

/** Each has to be looked at, and 13 MB of nothing else would take half a second. */
const maxDashLines = 50_000
/** On average; all parts together may have so many times `maxParts`. */
const maxHeaderLinesPerPart = 5

const fault = (reason: string): Fault => ({
  error: `Multipart parsing error: Multipart: ${reason}`,
})

const endsWithBareLf = (body: string, at: number): boolean => at > 0 && body[at - 2] !== '\r'

/** Where the line end before `at` begins, or `at` if there is none. */
const beforeLineEnd = (body: string, at: number): number => {
  if (body[at - 1] !== '\n') return at
  return body[at - 2] === '\r' ? at - 2 : at - 1
}

/** Flags our boundary if it begins somewhere from `start` to `end`, where it is none. */
export const seeMark = ({ body, mark, flags }: Walk, start: number, end: number): void => {
  if (flags.unmatchedBoundary !== 1 && body.slice(start, end + mark.length - 1).includes(mark))
    flags.unmatchedBoundary = 1
}

/** Whether a part's data, or its headers, have only just begun: what looks like a boundary here is not one. */
const isAtBeginning = ({ dataStart }: Part, at: number): boolean =>
  dataStart === undefined || dataStart === at

export const recordHeaders = (w: Walk, { name = '', headerLines }: Part): void => {
  for (const line of headerLines) w.partHeaders.push([name, line])
}

/** Ends the part that is being read: its data are all up to the line end before `at`. */
const finishPart = (w: Walk, at: number): Fault | undefined => {
  const { body, limits, part } = w
  if (part === undefined) return undefined
  w.part = undefined
  recordHeaders(w, part)
  const { name, filename, dataStart = at } = part
  if (name === undefined) {
    w.flags.invalidPart = true
    return undefined
  }
  const content = body.slice(dataStart, Math.max(dataStart, beforeLineEnd(body, at)))
  if (filename !== undefined) {
    w.files.push({ field: name, filename, sizeBytes: content.length, content })
    w.flags.fileLimitExceeded ||= w.files.length > limits.maxFiles
    return undefined
  }
  w.noFilesBytes += content.length
  if (w.args.length === limits.maxArguments) return tooManyArguments(limits)
  w.args.push([name, content])
  return undefined
}

/** A line that begins with the boundary, up to `end`. @returns Whether it was the last one. */
const readBoundary = (w: Walk, at: number, end: number): boolean | Fault => {
  const { body, flags, limits, mark } = w
  const rest = body.slice(at + mark.length, end)
  const isFinal = rest.startsWith('--')
  const lineEnd = isFinal ? rest.slice(2) : rest
  if (lineEnd === '\r\n') flags.crlfLine = true
  else if (lineEnd === '\n') flags.lfLine = true
  else return fault('Invalid boundary.')
  const failed = finishPart(w, at)
  if (failed !== undefined) return failed
  w.boundaries++
  if (isFinal) return true
  if (w.boundaries > limits.maxParts)
    return { error: `More than ${limits.maxParts} parts.`, overLimit: true }
  w.part = newPart()
  return false
}

/** A line that begins with two dashes, but not with our boundary. */
const readUnmatched = (w: Walk, at: number, end: number): Fault | undefined => {
  const { body, boundary, flags } = w
  if (++w.dashLines > maxDashLines)
    return { error: `More than ${maxDashLines} lines like boundaries.`, overLimit: true }
  if (end - at <= 3) return undefined
  const after = body.slice(at + 2, end)
  if (boundary.isQuoted && after.startsWith(`"${boundary.boundary}`))
    return fault('Invalid boundary (quotes).')
  const trimmed = after.replace(/^[ \t\n\v\f\r]+/, '')
  if (trimmed !== after && trimmed.startsWith(boundary.boundary))
    return fault('Invalid boundary (whitespace).')
  if (flags.unmatchedBoundary === 0) flags.unmatchedBoundary = 2
  return undefined
}

/** A line that is not a boundary: before the first part, or a header or data of one. */
const readOther = (w: Walk, at: number, end: number): Fault | undefined => {
  const { part } = w
  if (part === undefined) w.flags.dataBefore = true
  else if (part.dataStart === undefined) {
    const maxHeaderLines = w.limits.maxParts * maxHeaderLinesPerPart
    if (++w.headerLines > maxHeaderLines)
      return { error: `More than ${maxHeaderLines} lines of part headers.`, overLimit: true }
    w.noFilesBytes += end - at
    const reason = readHeaderLine(part, w.flags, w.body.slice(at, end), end)
    if (reason !== undefined) return fault(reason)
  }
  return undefined
}

/** Reads one line. @returns Whether it was the last boundary. */
export const readLine = (w: Walk, at: number, end: number): boolean | Fault => {
  const { body, flags, mark, part } = w
  if (body.startsWith(mark, at)) {
    flags.lfLine ||= endsWithBareLf(body, at)
    if (part === undefined || !isAtBeginning(part, at)) return readBoundary(w, at, end)
    flags.invalidPart = true
  } else {
    seeMark(w, at, end)
    if (body.startsWith('--', at)) {
      const failed = readUnmatched(w, at, end)
      if (failed !== undefined) return failed
    }
  }
  return readOther(w, at, end) ?? false
}

/** What is left after the last line end: it may be the final boundary. */
export const readRest = (w: Walk, at: number): Fault | undefined => {
  const { body, flags, mark, part } = w
  if (w.boundaries === 0) return fault('No boundaries found in payload.')
  if (body.slice(at) !== `${mark}--`)
    return finishPart(w, body.length) ?? fault('Final boundary missing.')
  flags.lfLine ||= endsWithBareLf(body, at)
  flags.invalidPart ||= part !== undefined && isAtBeginning(part, at)
  return finishPart(w, at)
}
