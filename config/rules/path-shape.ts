import { prefixSegments, segmentsOf, type PathShape } from '#contract/route-order'

/** Any one segment that is not empty. */
export const anySegment = Symbol('any segment')

/** The paths that a route takes: these segments, and whatever follows if it is open. */
export type PathSet = {
  readonly segments: readonly (string | typeof anySegment)[]
  readonly open: boolean
}

export const pathSetOf = (path: PathShape): PathSet => {
  if ('exact' in path) return { segments: segmentsOf(path.exact), open: false }
  if ('prefix' in path) return { segments: prefixSegments(path.prefix), open: true }
  const segments = segmentsOf(path.pattern)
  const open = segments.at(-1) === '**'
  return {
    segments: (open ? segments.slice(0, -1) : segments).map((segment) =>
      segment === '*' ? anySegment : segment,
    ),
    open,
  }
}

/** A path that both take, or undefined if there is none. */
export const commonPath = (a: PathSet, b: PathSet): string | undefined => {
  const [longer, shorter] = a.segments.length >= b.segments.length ? [a, b] : [b, a]
  if (longer.segments.length > shorter.segments.length && !shorter.open) return undefined
  const common: string[] = []
  for (const [i, segment] of longer.segments.entries()) {
    const other = i < shorter.segments.length ? shorter.segments[i] : anything
    const one = commonSegment(segment, other ?? anything)
    if (one === undefined) return undefined
    common.push(one)
  }
  return `/${common.join('/')}`
}

const anything = Symbol('anything')

const commonSegment = (
  a: string | typeof anySegment,
  b: string | typeof anySegment | typeof anything,
): string | undefined => {
  if (typeof a === 'string') {
    if (b === anySegment) return a === '' ? undefined : a
    return b === anything || a === b ? a : undefined
  }
  if (typeof b === 'string') return b === '' ? undefined : b
  return 'x'
}

/** Whether `a` takes every path that `b` takes. */
export const coversPath = (a: PathSet, b: PathSet): boolean => {
  if (a.segments.length > b.segments.length) return false
  if (!a.open && (b.open || a.segments.length !== b.segments.length)) return false
  return a.segments.every((segment, i) => {
    const other = b.segments[i]
    return segment === anySegment ? other !== '' : segment === other
  })
}
