import { classesIn } from '../engine/byte-classes.ts'
import type { Transformation } from './transformation.ts'

/** `t:normalizePath`: no double slashes, no `.` segments, and `..` takes the segment before it, if there is one. */
export const normalizePath: Transformation = {
  actsOn: classesIn('/.'),
  apply: (value) => normalize(value),
}

/** `t:normalizePathWin`: the same after backslashes have become slashes. */
export const normalizePathWin: Transformation = {
  actsOn: classesIn('/.\\'),
  apply: (value) => normalize(value.replaceAll('\\', '/')),
}

const normalize = (path: string): string => {
  if (path === '') return path
  const rooted = path.startsWith('/')
  const kept: string[] = []
  const segments = path.split('/')
  for (const segment of segments) {
    if (segment === '' || segment === '.') continue
    if (segment !== '..') {
      kept.push(segment)
      continue
    }
    const last = kept.at(-1)
    if (last !== undefined && last !== '..') kept.pop()
    else if (!rooted) kept.push('..')
  }
  const last = segments.at(-1)
  const body = kept.join('/')
  if (body === '') return rooted ? '/' : ''
  return (rooted ? '/' : '') + body + (last === '' ? '/' : '')
}
