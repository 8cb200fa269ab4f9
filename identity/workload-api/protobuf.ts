import { bad, good, type Outcome } from '../outcome.ts'

/** One length-delimited field: strings, bytes, messages and entries of maps are all written so. */
export type Field = { readonly number: number; readonly value: Buffer }

/** Thrown by what reads below and caught in `fieldsOf`. */
class ProtobufFault extends Error {
  override readonly name = 'ProtobufFault'
}

const maxFields = 10_000

/**
 * The length-delimited fields of a protobuf message, in their order; numbers are passed over, for no message that is read
 * here has one. Groups, which nobody writes any more, are refused.
 *
 * Ours, for the messages of the Workload API have nothing but strings, bytes and maps of these.
 *
 * @see https://protobuf.dev/programming-guides/encoding/
 */
export const fieldsOf = (message: Buffer): Outcome<readonly Field[]> => {
  try {
    return good(readFields(message))
  } catch (cause) {
    if (cause instanceof ProtobufFault) return bad(cause.message)
    throw cause
  }
}

const readFields = (message: Buffer): readonly Field[] => {
  const fields: Field[] = []
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 0; shift < 10; shift++) {
      const byte = message[at++]
      if (byte === undefined) throw new ProtobufFault('it ends in the midst of a number')
      value += (byte & 0x7f) * 2 ** (7 * shift)
      if (byte < 0x80) return value
    }
    throw new ProtobufFault('a number in it has no end')
  }
  const skip = (bytes: number): Buffer => {
    if (at + bytes > message.length) throw new ProtobufFault('it ends in the midst of a field')
    const value = message.subarray(at, at + bytes)
    at += bytes
    return value
  }
  while (at < message.length) {
    const tag = varint()
    const number = Math.floor(tag / 8)
    if (number === 0) throw new ProtobufFault('it has a field without a number')
    switch (tag % 8) {
      case 0:
        varint()
        break
      case 1:
        skip(8)
        break
      case 2:
        fields.push({ number, value: skip(varint()) })
        break
      case 5:
        skip(4)
        break
      default:
        throw new ProtobufFault('it has a field of an unknown type')
    }
    if (fields.length > maxFields) throw new ProtobufFault('it has too many fields')
  }
  return fields
}
