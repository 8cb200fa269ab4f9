import { latin1 } from './latin1.ts'

/** A field as it was decoded, `valid` if it keeps `field-rules.ts`. */
export type Field = { readonly name: string; readonly value: string; readonly valid: boolean }

const slots = 512
const maxMemoBytes = 128

/**
 * Remembers decoded fields by their octets. A peer that changes one field in every answer (a request id, a duration)
 * then costs the decoding of that field only.
 *
 * It is an array of slots in which a newcomer takes the place of whoever was there: a Map with an insert and a delete
 * for each answer would chain dead tables through the young generation.
 */
export type FieldMemo = {
  readonly get: (bytes: Buffer, start: number, end: number) => Field | undefined
  readonly set: (bytes: Buffer, start: number, end: number, field: Field) => void
}

export const fieldMemo = (): FieldMemo => {
  const keys = Array.from({ length: slots }, () => '')
  const fields = Array.from<Field | undefined>({ length: slots })
  return {
    get: (bytes, start, end) => {
      if (end - start > maxMemoBytes) return undefined
      const slot = slotOf(bytes, start, end)
      const field = fields[slot]
      return field !== undefined && keys[slot] === latin1(bytes, start, end) ? field : undefined
    },
    set: (bytes, start, end, field) => {
      if (end - start > maxMemoBytes) return
      const slot = slotOf(bytes, start, end)
      keys[slot] = latin1(bytes, start, end)
      fields[slot] = field
    },
  }
}

const slotOf = (bytes: Buffer, start: number, end: number): number => {
  let hash = end - start
  for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + (bytes[at] as number)) | 0
  return (hash ^ (hash >>> 9)) & (slots - 1)
}
