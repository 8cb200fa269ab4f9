import type { Transformation } from './transformation.ts'

const isOdd = (byte: number): number => {
  let bits = byte & 127
  bits ^= bits >> 4
  bits ^= bits >> 2
  bits ^= bits >> 1
  return bits & 1
}
const eachByte = (change: (byte: number) => number): Transformation => ({
  actsOn: -1,
  apply: (value) => {
    let out = ''
    for (let i = 0; i < value.length; i++) out += String.fromCharCode(change(value.charCodeAt(i)))
    return out
  },
})

/** `t:parityEven7bit`: the eighth bit makes the number of ones even. */
export const parityEven7bit = eachByte((byte) => (byte & 127) | (isOdd(byte) << 7))
/** `t:parityOdd7bit`: the eighth bit makes the number of ones odd. */
export const parityOdd7bit = eachByte((byte) => (byte & 127) | ((isOdd(byte) ^ 1) << 7))
/** `t:parityZero7bit`: the eighth bit is zero. */
export const parityZero7bit = eachByte((byte) => byte & 127)
