import { base64Decode, base64DecodeExt, base64Encode } from './base64.ts'
import { lowercase, uppercase } from './case.ts'
import { cmdLine } from './command-line.ts'
import { removeComments, removeCommentsChar, replaceComments } from './comments.ts'
import { cssDecode } from './css-decode.ts'
import { md5, sha1 } from './digests.ts'
import { escapeSeqDecode } from './escape-seq-decode.ts'
import { hexDecode, hexEncode, sqlHexDecode } from './hex.ts'
import { htmlEntityDecode } from './html-entity-decode.ts'
import { jsDecode } from './js-decode.ts'
import { length } from './length.ts'
import { normalizePath, normalizePathWin } from './normalize-path.ts'
import { removeNulls, replaceNulls } from './nulls.ts'
import { parityEven7bit, parityOdd7bit, parityZero7bit } from './parity.ts'
import type { Transformation } from './transformation.ts'
import { urlDecode, urlDecodeUni } from './url-decode.ts'
import { urlEncode } from './url-encode.ts'
import { utf8toUnicode } from './utf8-to-unicode.ts'
import { compressWhitespace, removeWhitespace, trim, trimLeft, trimRight } from './white-space.ts'

/** Every transformation of SecLang, by its name. `none` is not one: it empties the list. */
export const transformations = {
  base64Decode,
  base64DecodeExt,
  base64Encode,
  cmdLine,
  compressWhitespace,
  cssDecode,
  escapeSeqDecode,
  hexDecode,
  hexEncode,
  htmlEntityDecode,
  jsDecode,
  length,
  lowercase,
  md5,
  normalisePath: normalizePath,
  normalisePathWin: normalizePathWin,
  normalizePath,
  normalizePathWin,
  parityEven7bit,
  parityOdd7bit,
  parityZero7bit,
  removeComments,
  removeCommentsChar,
  removeNulls,
  removeWhitespace,
  replaceComments,
  replaceNulls,
  sha1,
  sqlHexDecode,
  trim,
  trimLeft,
  trimRight,
  uppercase,
  urlDecode,
  urlDecodeUni,
  urlEncode,
  utf8toUnicode,
} as const satisfies Record<string, Transformation>
export type TransformationName = keyof typeof transformations

const names = new Map(Object.keys(transformations).map((name) => [name.toLowerCase(), name]))

/** The name as the table spells it; case does not matter. `Map`, because a rule may name `constructor`. */
export const findTransformation = (name: string): TransformationName | undefined =>
  names.get(name.toLowerCase()) as TransformationName | undefined
