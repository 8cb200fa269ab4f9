/** JSON pointers (RFC 6901): where something stands in a configuration. '' is the whole. */

export const pointerTo = (parent: string, key: string | number): string =>
  typeof key === 'string' && /[~/]/.test(key)
    ? `${parent}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
    : `${parent}/${key}`

export const segmentsOfPointer = (pointer: string): string[] =>
  pointer === ''
    ? []
    : pointer
        .slice(1)
        .split('/')
        .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'))

export const parentOf = (pointer: string): string => pointer.slice(0, pointer.lastIndexOf('/'))

export const lastSegmentOf = (pointer: string): string => segmentsOfPointer(pointer).at(-1) ?? ''

/** The value that a pointer leads to, or undefined. Own keys only: `/constructor` leads nowhere. */
export const valueAt = (root: unknown, pointer: string): unknown => {
  let value = root
  for (const segment of segmentsOfPointer(pointer)) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, segment))
      return undefined
    value = (value as Record<string, unknown>)[segment]
  }
  return value
}

/** Puts a value where another stands already. */
export const replaceAt = (root: object, pointer: string, value: unknown): void => {
  const parent = valueAt(root, parentOf(pointer))
  if (typeof parent !== 'object' || parent === null)
    throw new TypeError(`nothing stands at ${pointer}`)
  ;(parent as Record<string, unknown>)[lastSegmentOf(pointer)] = value
}

/** As a person writes it: `routes[3].match.path`. */
export const readablePath = (pointer: string): string =>
  segmentsOfPointer(pointer)
    .map((segment) => (/^\d+$/.test(segment) ? `[${segment}]` : `.${segment}`))
    .join('')
    .replace(/^\./, '')
