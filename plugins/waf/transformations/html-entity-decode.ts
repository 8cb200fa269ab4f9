import { classesIn } from '../engine/byte-classes.ts'
import type { Transformation } from './transformation.ts'

const named: Readonly<Record<string, string>> = {
  quot: '"',
  amp: '&',
  lt: '<',
  gt: '>',
  nbsp: '\xa0',
}

/** `t:htmlEntityDecode`: `&#DDD;`, `&#xHH;` and five names (quot, amp, lt, gt, nbsp), the semicolon being optional. */
export const htmlEntityDecode: Transformation = {
  actsOn: classesIn('&'),
  apply: (value) =>
    value.replace(
      /&(?:#[xX]([0-9A-Fa-f]+)|#([0-9]+)|([0-9A-Za-z]+));?/g,
      (whole, hex?: string, decimal?: string, name?: string) => {
        if (hex !== undefined) return String.fromCharCode(lowByte(hex, 16))
        if (decimal !== undefined) return String.fromCharCode(lowByte(decimal, 10))
        const lower = (name ?? '').toLowerCase()
        return Object.hasOwn(named, lower) ? (named[lower] ?? whole) : whole
      },
    ),
}

/** As C's `strtol` and a cast to a byte: what is too large for a long is all ones. */
const lowByte = (digits: string, radix: number): number => {
  const number = BigInt(radix === 16 ? `0x${digits}` : digits)
  return number > 0x7fff_ffff_ffff_ffffn ? 255 : Number(number & 255n)
}
