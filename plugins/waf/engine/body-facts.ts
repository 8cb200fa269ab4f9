import {
  filesCombinedSize,
  multipartStrictError,
  type MultipartFlags,
  type ParsedBody,
} from '../bodies/body.ts'
import { makeEntries, noEntries, type Entries } from './entries.ts'

/** What is known of a request's body, as the variables have it. */
export type BodyFacts = {
  readonly length: number
  /** REQUEST_BODY: only where a form or the rules ask for it. */
  readonly text: string | undefined
  readonly args: Entries
  readonly files: Entries
  readonly fileNames: Entries
  readonly fileSizes: Entries
  readonly fileContents: Entries
  readonly filesCombinedSize: number
  readonly partHeaders: Entries
  readonly xml: Entries
  readonly xmlAttributes: Entries
  readonly multipart: MultipartFlags | undefined
  readonly multipartStrictError: boolean
  readonly invalidEncoding: boolean
  readonly error: string | undefined
}

export const noBody: BodyFacts = Object.freeze({
  length: 0,
  text: undefined,
  args: noEntries,
  files: noEntries,
  fileNames: noEntries,
  fileSizes: noEntries,
  fileContents: noEntries,
  filesCombinedSize: 0,
  partHeaders: noEntries,
  xml: noEntries,
  xmlAttributes: noEntries,
  multipart: undefined,
  multipartStrictError: false,
  invalidEncoding: false,
  error: undefined,
})

/** Puts what a processor found into variables. */
export const factsOfBody = (
  parsed: ParsedBody,
  length: number,
  text: string | undefined,
): BodyFacts => {
  const files = parsed.files ?? []
  return {
    length,
    text,
    args: makeEntries(parsed.args),
    files: makeEntries(files.map(({ field, filename }) => [field, filename])),
    fileNames: makeEntries(files.map(({ field }) => [field, field])),
    fileSizes: makeEntries(files.map(({ field, sizeBytes }) => [field, String(sizeBytes)])),
    fileContents: makeEntries(files.map(({ field, content }) => [field, content])),
    filesCombinedSize: filesCombinedSize(files),
    partHeaders: makeEntries(parsed.partHeaders ?? []),
    xml: textsOf(parsed.xml?.texts),
    xmlAttributes: textsOf(parsed.xml?.attributes),
    multipart: parsed.multipart,
    multipartStrictError:
      parsed.multipart !== undefined &&
      multipartStrictError(parsed.multipart, parsed.error !== undefined),
    invalidEncoding: parsed.invalidEncoding === true,
    error: parsed.error,
  }
}

const textsOf = (texts: readonly string[] | undefined): Entries =>
  texts === undefined || texts.length === 0
    ? noEntries
    : makeEntries(texts.map((text) => ['', text]))
