import { hexByteAt, type Transformation } from './transformation.ts'
import { classesIn } from '../engine/byte-classes.ts'

/** `t:hexEncode`: two lower-case digits a byte. */
export const hexEncode: Transformation = {
  actsOn: -1,
  apply: (value) => Buffer.from(value, 'latin1').toString('hex'),
}

/** `t:hexDecode`: each two digits become a byte; a digit without its second is dropped. */
export const hexDecode: Transformation = {
  actsOn: -1,
  apply: (value) => {
    let out = ''
    for (let i = 0; i + 1 < value.length; i += 2) {
      const byte = hexByteAt(value, i)
      out += String.fromCharCode(byte < 0 ? 0 : byte)
    }
    return out
  },
}

/** `t:sqlHexDecode`: `0x41` and longer become their bytes, as in SQL. */
export const sqlHexDecode: Transformation = {
  actsOn: classesIn('0'),
  apply: (value) =>
    value.replace(/0[xX]((?:[0-9A-Fa-f]{2})+)/g, (_, digits: string) =>
      Buffer.from(digits, 'hex').toString('latin1'),
    ),
}
