import { parseDisposition } from './multipart-disposition.ts'
import type { OpenFlags } from './multipart-flags.ts'

/** A part that is being read: its header lines, and once they have ended, where its data begins. */
export type Part = {
  readonly headers: Map<string, string>
  readonly headerLines: string[]
  lastName: string | undefined
  name: string | undefined
  filename: string | undefined
  /** Undefined in the headers. */
  dataStart: number | undefined
}

export const newPart = (): Part => ({
  headers: new Map(),
  headerLines: [],
  lastName: undefined,
  name: undefined,
  filename: undefined,
  dataStart: undefined,
})

/** The longest header line of a part, folded or not. */
export const maxHeaderBytes = 4096

const readHeaderEnd = (part: Part, flags: OpenFlags, dataStart: number): string | undefined => {
  const value = part.headers.get('content-disposition')
  if (value === undefined) return 'Part missing Content-Disposition header.'
  const disposition = parseDisposition(value)
  flags.invalidQuoting ||= disposition.hasInvalidQuoting
  if ('code' in disposition) return `Invalid Content-Disposition header (${disposition.code}).`
  const { name, filename } = disposition
  if (name === undefined) return 'Content-Disposition header missing name field.'
  // Crude parsers look for this text; one that does not find it would take a file for a field.
  if (filename !== undefined && !value.includes('filename='))
    return 'Invalid Content-Disposition header (filename).'
  part.name = name
  part.filename = filename
  part.dataStart = dataStart
  return undefined
}

const readFolded = (part: Part, flags: OpenFlags, line: string): string | undefined => {
  flags.headerFolding = true
  const blanks = /^[ \t\n\v\f\r]*/.exec(line)?.[0] ?? ''
  // Folding is by space and tab (RFC 2557), but PHP and perhaps others take any white space.
  flags.invalidHeaderFolding ||= /[^\t ]/.test(blanks)
  const { lastName } = part
  if (lastName === undefined) return 'Invalid part header (folding error).'
  const key = lastName.toLowerCase()
  const value = `${part.headers.get(key) ?? ''} ${line.slice(blanks.length)}`
  if (value.length > maxHeaderBytes) return 'Part header too long.'
  part.headers.set(key, value)
  part.headerLines[part.headerLines.length - 1] = `${lastName}: ${value}`
  return undefined
}

const readNew = (part: Part, line: string): string | undefined => {
  // Kept before it is judged, so that rules see it whatever is wrong with it.
  part.headerLines.push(line)
  const colon = line.indexOf(':')
  if (colon === -1) return 'Invalid part header (colon missing).'
  if (colon === 0) return 'Invalid part header (header name missing).'
  const name = line.slice(0, colon)
  if (/[^!-~]/.test(name)) return 'Invalid part header (contains invalid character).'
  const key = name.toLowerCase()
  if (part.headers.has(key)) return 'Duplicate part header.'
  part.headers.set(key, line.slice(colon + 1).replace(/^[\t ]+/, ''))
  part.lastName = name
  return undefined
}

/**
 * Reads one header line of a part, or the empty line after them.
 *
 * @param written The line with its line end.
 * @param end Where in the body the next line begins.
 * @returns What is wrong with it, if anything; it says nothing of what is in the body.
 */
export const readHeaderLine = (
  part: Part,
  flags: OpenFlags,
  written: string,
  end: number,
): string | undefined => {
  if (written.length >= maxHeaderBytes) return `Part header line over ${maxHeaderBytes} bytes long`
  if (written.includes('\0')) return 'Nul byte in part headers.'
  const isCrlf = written.endsWith('\r\n')
  if (isCrlf) flags.crlfLine = true
  else flags.lfLine = true
  const line = written.slice(0, isCrlf ? -2 : -1)
  if (line === '') return readHeaderEnd(part, flags, end)
  return /^[ \t\n\v\f\r]/.test(line) ? readFolded(part, flags, line) : readNew(part, line)
}
