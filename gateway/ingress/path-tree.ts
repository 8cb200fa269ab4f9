import { prefixSegments, segmentsOf } from '#contract/route-order'
import type { PathMatch } from '#config/schema'

/** Things found by path, segment by segment. */
export type PathTree<T> = {
  readonly add: (match: PathMatch, thing: T) => void
  /** Tells `found` of every thing whose match fits the path. */
  readonly visit: (path: string, found: (thing: T) => void) => void
}

type Node<T> = {
  readonly children: Map<string, Node<T>>
  /** Below `*`: any one segment. */
  anyOne: Node<T> | undefined
  /** Those whose path ends here. */
  readonly ending: T[]
  /** Those that also take whatever follows. */
  readonly open: T[]
}

const node = <T>(): Node<T> => ({ children: new Map(), anyOne: undefined, ending: [], open: [] })

/** A tree of segments: finding what fits a path costs as much as the path is long, however many there are. */
export const pathTree = <T>(): PathTree<T> => {
  const root = node<T>()

  const down = (segments: readonly string[], stars: boolean): Node<T> => {
    let at = root
    for (const segment of segments) {
      if (stars && segment === '*') {
        at.anyOne ??= node()
        at = at.anyOne
        continue
      }
      const next = at.children.get(segment) ?? node<T>()
      at.children.set(segment, next)
      at = next
    }
    return at
  }

  const add = (match: PathMatch, thing: T) => {
    if ('exact' in match) down(segmentsOf(match.exact), false).ending.push(thing)
    else if ('prefix' in match) down(prefixSegments(match.prefix), false).open.push(thing)
    else {
      const segments = segmentsOf(match.pattern)
      if (segments.at(-1) === '**') down(segments.slice(0, -1), true).open.push(thing)
      else down(segments, true).ending.push(thing)
    }
  }

  const visit = (path: string, found: (thing: T) => void) => {
    const walk = (at: Node<T>, from: number) => {
      for (const thing of at.open) found(thing)
      if (from > path.length) {
        for (const thing of at.ending) found(thing)
        return
      }
      const slash = path.indexOf('/', from)
      const end = slash < 0 ? path.length : slash
      const segment = path.slice(from, end)
      const child = at.children.get(segment)
      if (child) walk(child, end + 1)
      if (at.anyOne && segment !== '') walk(at.anyOne, end + 1)
    }
    walk(root, 1)
  }

  return { add, visit }
}
