import type { Transformation } from './transformation.ts'

/** `t:urlEncode`: a space becomes `+`, every byte but letters, digits and `*` becomes `%xx`. */
export const urlEncode: Transformation = {
  actsOn: -1,
  apply: (value) =>
    value.replace(/[^0-9A-Za-z*]/g, (char) =>
      char === ' ' ? '+' : `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
    ),
}
