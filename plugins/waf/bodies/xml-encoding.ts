import { isUtf8 } from 'node:buffer'

const marks: readonly (readonly [bytes: string, encoding: string])[] = [
  ['\xff\xfe', 'utf-16le'],
  ['\xfe\xff', 'utf-16be'],
  ['<\0?\0', 'utf-16le'],
  ['\0<\0?', 'utf-16be'],
]
const byteOrderMark = '\xef\xbb\xbf'
const declaration =
  /^<\?xml[ \t\r\n][^>]{0,200}?[ \t\r\n]encoding[ \t\r\n]*=[ \t\r\n]*["']([\w.:-]{1,40})["']/

const transcode = (bytes: string, encoding: string): string | undefined => {
  try {
    const text = new TextDecoder(encoding, { fatal: true }).decode(Buffer.from(bytes, 'latin1'))
    return Buffer.from(text, 'utf8').toString('latin1')
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    const isAnswer =
      code === 'ERR_ENCODING_NOT_SUPPORTED' || code === 'ERR_ENCODING_INVALID_ENCODED_DATA'
    if (!isAnswer) throw cause
    return undefined
  }
}

/**
 * An XML document as UTF-8, whatever it was written in (XML 1.0 appendix F), so that rules see the text that an
 * application would. Both are latin1, one character a byte.
 *
 * @returns Undefined if the encoding is not known or the bytes are not of it.
 */
export const toUtf8 = (bytes: string): string | undefined => {
  const marked = marks.find(([mark]) => bytes.startsWith(mark))
  if (marked !== undefined) return transcode(bytes, marked[1])
  const document = bytes.startsWith(byteOrderMark) ? bytes.slice(byteOrderMark.length) : bytes
  const encoding = declaration.exec(document)?.[1]?.toLowerCase() ?? 'utf-8'
  if (
    encoding === 'utf-8' ||
    encoding === 'utf8' ||
    encoding === 'us-ascii' ||
    encoding === 'ascii'
  )
    return isUtf8(Buffer.from(document, 'latin1')) ? document : undefined
  // Said to be of two bytes a character, and it is not: an application may believe the one or the other.
  if (encoding.startsWith('utf-16') || encoding.startsWith('ucs-2')) return undefined
  return transcode(document, encoding)
}
