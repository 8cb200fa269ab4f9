import { emptySet, hasByte, setOf, union } from '../regex/byte-set.ts'
import type { Operator } from './operator.ts'

/** `@validateByteRange 1-255,9,…`: matches a value that has a byte outside of the ranges. */
export const validateByteRange: Operator = (argument) => {
  const allowed = argument
    .split(',')
    .map((text) => text.trim())
    .filter((text) => text !== '')
    .map((text) => {
      const found = /^(\d{1,3})(?:-(\d{1,3}))?$/.exec(text)
      const [from, to] = [Number(found?.[1]), Number(found?.[2] ?? found?.[1])]
      if (!found || from > to || to > 255)
        throw new TypeError(`@validateByteRange cannot read ${JSON.stringify(text)}`)
      return setOf([from, to])
    })
    .reduce((all, set) => union(all, set), emptySet())
  const table = new Uint8Array(256).map((_, byte) => (hasByte(allowed, byte) ? 1 : 0))
  return {
    test: (value) => {
      for (let i = 0; i < value.length; i++) if (table[value.charCodeAt(i) & 255] === 0) return true
      return false
    },
  }
}
