import type { Transformation } from './transformation.ts'

/** `t:base64Decode`: decodes up to the first byte that is not of the alphabet. */
export const base64Decode: Transformation = {
  actsOn: -1,
  apply: (value) => decode(/^[A-Za-z0-9+/]*/.exec(value)?.[0] ?? ''),
}

/** `t:base64DecodeExt`: bytes that are not of the alphabet are passed over. */
export const base64DecodeExt: Transformation = {
  actsOn: -1,
  apply: (value) => {
    const end = value.indexOf('=')
    return decode((end < 0 ? value : value.slice(0, end)).replace(/[^A-Za-z0-9+/]+/g, ''))
  },
}

/** `t:base64Encode`. */
export const base64Encode: Transformation = {
  actsOn: -1,
  apply: (value) => Buffer.from(value, 'latin1').toString('base64'),
}

// A last group of one character holds no byte.
const decode = (text: string): string =>
  Buffer.from(text.length % 4 === 1 ? text.slice(0, -1) : text, 'base64').toString('latin1')
