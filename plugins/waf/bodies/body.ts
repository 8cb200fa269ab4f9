/**
 * What every body processor is given and gives back. All text is latin1: one character is one byte of the request,
 * so rules match on bytes whatever the charset says.
 */

/** Bounds for one body. One that exceeds them is not read any further: `error` says so, `overLimit` is set. */
export type BodyLimits = {
  /** Arguments in all (SecArgumentsLimit). Those up to the limit are kept. */
  readonly maxArguments: number
  /** How deep JSON and XML may nest (SecRequestBodyJsonDepthLimit). */
  readonly maxDepth: number
  /** All names of a JSON body together: each repeats the path, so that a small body could make many bytes. */
  readonly maxTotalNameBytes: number
  /** Parts of a multipart body, fields and files together. */
  readonly maxParts: number
  /** Files of a multipart body (SecUploadFileLimit). More of them set `fileLimitExceeded`. */
  readonly maxFiles: number
  /** Attributes of an XML document. */
  readonly maxXmlAttributes: number
}

/** As the recommended configuration of ModSecurity has them, where it has them. */
export const defaultBodyLimits: BodyLimits = Object.freeze({
  maxArguments: 1000,
  maxDepth: 512,
  maxTotalNameBytes: 262_144,
  maxParts: 1000,
  maxFiles: 100,
  maxXmlAttributes: 10_000,
})

/** One ARGS_POST entry. Order and duplicates are kept. */
export type Argument = readonly [name: string, value: string]

/** One uploaded file: FILES is `filename` by `field`, FILES_NAMES the fields, FILES_SIZES the sizes by field. */
export type UploadedFile = {
  readonly field: string
  readonly filename: string
  readonly sizeBytes: number
  /** FILES_TMP_CONTENT. A slice of the body, so it costs nothing until it is read. */
  readonly content: string
}

/**
 * One MULTIPART_PART_HEADERS entry: keyed by the name of the part, the value is the whole `Name: value` line.
 * A part without a name has the empty key.
 */
export type PartHeader = readonly [part: string, line: string]

/** What is odd about a multipart body. Each is a MULTIPART_… variable; `multipartStrictError` is the OR of most. */
export type MultipartFlags = {
  readonly boundaryQuoted: boolean
  readonly boundaryWhitespace: boolean
  readonly dataBefore: boolean
  readonly dataAfter: boolean
  readonly headerFolding: boolean
  readonly invalidHeaderFolding: boolean
  readonly lfLine: boolean
  readonly crlfLfLines: boolean
  readonly missingSemicolon: boolean
  readonly invalidQuoting: boolean
  readonly invalidPart: boolean
  readonly fileLimitExceeded: boolean
  /** MULTIPART_UNMATCHED_BOUNDARY: 0, 1 (a line looks like our boundary) or 2 (a line merely begins with `--`). */
  readonly unmatchedBoundary: 0 | 1 | 2
}

/** What the two XPaths of CRS select: `XML:/*` and `XML://@*`. */
export type XmlSelections = {
  /** The text of the root element and all below it, in one string; empty if there is no root element. */
  readonly texts: readonly string[]
  /** The value of every attribute, namespace declarations excepted, as XPath has it. */
  readonly attributes: readonly string[]
}

export type ParsedBody = {
  readonly args: readonly Argument[]
  /** Multipart only. */
  readonly files?: readonly UploadedFile[]
  readonly partHeaders?: readonly PartHeader[]
  readonly multipart?: MultipartFlags
  /** XML only. */
  readonly xml?: XmlSelections
  /** Urlencoded only: a `%` that two hexadecimal digits do not follow (URLENCODED_ERROR). */
  readonly invalidEncoding?: boolean
  /** Multipart only: bytes that are not those of files, for SecRequestBodyNoFilesLimit. */
  readonly noFilesBytes?: number
  /** REQBODY_ERROR_MSG; if set, REQBODY_ERROR and REQBODY_PROCESSOR_ERROR are 1. Quotes nothing of the body. */
  readonly error?: string
  /** The error is that a limit was exceeded, not that the body is malformed. */
  readonly overLimit?: boolean
}

/**
 * A processor: `body` is latin1. It never throws, and takes time linear in the length of the body. What it read before
 * an error or a limit is given back too, so that rules see it where errors are only logged.
 */
export type BodyProcessor = (body: string, limits: BodyLimits) => ParsedBody

/** The same in pieces, so that others can have a turn in between. */
export type BodySteps = (body: string, limits: BodyLimits) => Generator<undefined, ParsedBody>

/** A processor in one piece. */
export const atOnce =
  (steps: BodySteps): BodyProcessor =>
  (body, limits) => {
    const running = steps(body, limits)
    for (;;) {
      const { done, value } = running.next()
      if (done === true) return value
    }
  }

/** FILES_COMBINED_SIZE, in bytes. */
export const filesCombinedSize = (files: readonly UploadedFile[]): number =>
  files.reduce((total, file) => total + file.sizeBytes, 0)

/** MULTIPART_STRICT_ERROR. Unmatched boundaries and mixed line ends are judged apart, by rules of their own. */
export const multipartStrictError = (flags: MultipartFlags, failed: boolean): boolean =>
  failed ||
  flags.boundaryQuoted ||
  flags.boundaryWhitespace ||
  flags.dataBefore ||
  flags.dataAfter ||
  flags.headerFolding ||
  flags.invalidHeaderFolding ||
  flags.lfLine ||
  flags.missingSemicolon ||
  flags.invalidQuoting ||
  flags.invalidPart ||
  flags.fileLimitExceeded

/** What a body with too many arguments gives back besides those that it may have. */
export const tooManyArguments = ({ maxArguments }: BodyLimits) => ({
  error: `More than ${maxArguments} arguments.`,
  overLimit: true,
})
