import type { Transformation } from './transformation.ts'

/** `t:length`: how many bytes there are, in decimal. */
export const length: Transformation = { actsOn: -1, apply: (value) => String(value.length) }
