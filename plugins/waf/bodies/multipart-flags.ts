import type { MultipartFlags } from './body.ts'

/** Flags while they are being found out. */
export type OpenFlags = { -readonly [Name in keyof MultipartFlags]: MultipartFlags[Name] } & {
  /** A header or boundary line ended as it should. */
  crlfLine: boolean
}

export const noFlags: Readonly<OpenFlags> = {
  boundaryQuoted: false,
  boundaryWhitespace: false,
  dataBefore: false,
  dataAfter: false,
  headerFolding: false,
  invalidHeaderFolding: false,
  lfLine: false,
  crlfLine: false,
  crlfLfLines: false,
  missingSemicolon: false,
  invalidQuoting: false,
  invalidPart: false,
  fileLimitExceeded: false,
  unmatchedBoundary: 0,
}

/** The flags, now that the body has been read. */
export const closeFlags = ({ crlfLine, ...flags }: OpenFlags): MultipartFlags => ({
  ...flags,
  crlfLfLines: crlfLine && flags.lfLine,
})
