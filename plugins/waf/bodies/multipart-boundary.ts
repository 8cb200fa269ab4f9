/** What the Content-Type says: the boundary, and what is odd about how it says it; or why it cannot be used. */
export type Boundary = {
  readonly boundary: string
  readonly isQuoted: boolean
  readonly hasWhitespace: boolean
  readonly lacksSemicolon: boolean
}

type Outcome = Boundary | { readonly error: string }

const mediaType = 'multipart/form-data'
const maxTypeBytes = 1024
/** RFC 2046 §5.1.1. */
const maxBoundaryBytes = 70
const boundaryCharacters = /^[0-9A-Za-z'()+_,\-./:=? ]*[0-9A-Za-z'()+_,\-./:=?]$/

const fault = (reason: string): Outcome => ({
  error: `Multipart parsing error: Multipart: ${reason}`,
})

/** How many parameters may be meant for a boundary by one parser or another. */
const countBoundaries = (text: string): number => {
  const pieces = text.toLowerCase().split('boundary')
  const lastEquals = text.lastIndexOf('=')
  let at = 0
  let count = 0
  for (const piece of pieces.slice(0, -1)) {
    at += piece.length + 'boundary'.length
    if (at <= lastEquals) count++
  }
  return count
}

/** Some frameworks put `; charset=…` after the boundary, as RFC 2045 lets them. */
const withoutParameters = (value: string): string => {
  const semicolon = value.indexOf(';')
  return semicolon === -1 ? value : value.slice(0, semicolon)
}

/**
 * Takes the boundary from a Content-Type with no more understanding than all backends have: one that they could read in
 * different ways is an error, for each would see other parts.
 */
export const boundaryOf = (contentType: string): Outcome => {
  if (contentType.length > maxTypeBytes) return fault('Invalid boundary in C-T (length).')
  if (contentType.slice(0, mediaType.length).toLowerCase() !== mediaType)
    return fault('Invalid MIME type.')
  if (countBoundaries(contentType) > 1) return fault('Multiple boundary parameters in C-T.')
  const at = contentType.indexOf('boundary')
  if (at === -1)
    return countBoundaries(contentType) > 0
      ? fault('Invalid boundary in C-T (case sensitivity).')
      : fault('Boundary not found in C-T.')

  const before = contentType.slice(mediaType.length, at)
  const after = contentType.slice(at + 'boundary'.length)
  const equals = after.indexOf('=')
  if (!/^[ \t\n\v\f\r]*;?[ \t\n\v\f\r]*$/.test(before) || equals === -1)
    return fault('Invalid boundary in C-T (malformed).')
  const gap = after.slice(0, equals)
  if (/[^ \t\n\v\f\r]/.test(gap)) return fault('Invalid boundary in C-T (parameter name).')

  const written = after.slice(equals + 1)
  const isQuoted = written.length >= 2 && written.startsWith('"') && written.endsWith('"')
  if (!isQuoted && (written.startsWith('"') || written.endsWith('"')))
    return fault('Invalid boundary in C-T (quote).')
  const value = isQuoted ? written.slice(1, -1) : written
  if (countBoundaries(value) > 0) return fault('Invalid boundary in C-T (content).')
  const boundary = boundaryCharacters.test(value) ? value : withoutParameters(value)
  if (boundary === '') return fault('Invalid boundary in C-T (empty).')
  if (!boundaryCharacters.test(boundary)) return fault('Invalid boundary in C-T (characters).')
  if (boundary.length > maxBoundaryBytes) return fault('Invalid boundary in C-T (length).')
  return {
    boundary,
    isQuoted,
    hasWhitespace: gap !== '' || /^[ \t\n\v\f\r]/.test(written),
    lacksSemicolon: !before.includes(';'),
  }
}
