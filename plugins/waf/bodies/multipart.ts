import type { BodyLimits, BodyProcessor, ParsedBody } from './body.ts'
import { boundaryOf } from './multipart-boundary.ts'
import { closeFlags, noFlags } from './multipart-flags.ts'
import type { Fault, Walk } from './multipart-lines.ts'
import { readLine, readRest, recordHeaders, seeMark } from './multipart-lines.ts'

/** Work that may be interrupted where it yields. */
type Steps<Result> = Generator<undefined, Result, undefined>

/** How far a search goes before others get their turn: a few milliseconds, whatever is searched. */
const windowBytes = 131_072
/** How many lines are read before others get their turn. */
const linesInTurn = 1024

/**
 * From somewhere in data, or before the first part, to the next line that begins with two dashes, for no other matters;
 * or as far as one window goes.
 */
const skipToDashes = (w: Walk, at: number): number => {
  const found = w.body.slice(at - 1, at + windowBytes).indexOf('\n--')
  const next = found === -1 ? Math.min(at + windowBytes - 2, w.body.length) : at + found
  seeMark(w, at, next)
  return next
}

function* walkThrough(w: Walk): Steps<Fault | undefined> {
  const { body } = w
  let at = 0
  for (let lines = 1; ; lines++) {
    // In headers every line matters; of a part's data, and of what is before the first part, the first one.
    const firstLine = w.part === undefined ? 0 : w.part.dataStart
    if (firstLine !== undefined && at > firstLine) {
      at = skipToDashes(w, at)
      const isLine = body.startsWith('--', at) && body[at - 1] === '\n'
      if (!isLine && at < body.length) {
        yield
        continue
      }
    }
    if (lines % linesInTurn === 0) yield
    const found = body.indexOf('\n', at)
    if (found === -1) return readRest(w, at)
    // The rest of a very long line is skipped like other lines.
    const end = firstLine === undefined ? found + 1 : Math.min(found + 1, at + windowBytes)
    const read = readLine(w, at, end)
    if (typeof read === 'object') return read
    at = end
    if (read) {
      w.flags.dataAfter = at < body.length
      return undefined
    }
  }
}

/**
 * multipart/form-data (RFC 7578) as ModSecurity 2 reads it: fields are arguments, files are not, and whatever two
 * parsers could disagree on is an error or a flag. Errors are worded as ModSecurity words them, without the quotations.
 * A line that merely begins with `--`, as in a PEM file, is told from one with our boundary in it, as in ModSecurity 3.
 *
 * A body of 13 MB can be made to take 0.1 s; so this yields every few milliseconds.
 *
 * @param contentType The header, latin1.
 */
export function* multipartSteps(
  contentType: string,
  body: string,
  limits: BodyLimits,
): Steps<ParsedBody> {
  const boundary = boundaryOf(contentType)
  if ('error' in boundary)
    return { args: [], files: [], partHeaders: [], multipart: closeFlags(noFlags), ...boundary }
  const w: Walk = {
    body,
    boundary,
    mark: `--${boundary.boundary}`,
    limits,
    flags: {
      ...noFlags,
      boundaryQuoted: boundary.isQuoted,
      boundaryWhitespace: boundary.hasWhitespace,
      missingSemicolon: boundary.lacksSemicolon,
    },
    args: [],
    files: [],
    partHeaders: [],
    part: undefined,
    boundaries: 0,
    dashLines: 0,
    headerLines: 0,
    noFilesBytes: 0,
  }
  const failed = body === '' ? undefined : yield* walkThrough(w)
  // A part whose headers could not be read is still there.
  if (w.part !== undefined) recordHeaders(w, w.part)
  const { args, files, partHeaders, flags, noFilesBytes } = w
  return { args, files, partHeaders, multipart: closeFlags(flags), noFilesBytes, ...failed }
}

/** As `multipartSteps`, in one go: for bodies of less than a megabyte. */
export const multipartBody =
  (contentType: string): BodyProcessor =>
  (body, limits) => {
    const steps = multipartSteps(contentType, body, limits)
    for (;;) {
      const step = steps.next()
      if (step.done === true) return step.value
    }
  }
