import { createHash } from 'node:crypto'
import type { Transformation } from './transformation.ts'

const digest = (algorithm: string): Transformation => ({
  actsOn: -1,
  apply: (value) => createHash(algorithm).update(value, 'latin1').digest().toString('latin1'),
})

/** `t:sha1`: the raw digest. Names a value in rules; nothing here relies on it as a secret. */
export const sha1 = digest('sha1')
/** `t:md5`: the raw digest. */
export const md5 = digest('md5')
