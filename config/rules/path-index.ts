import { anySegment, type PathSet } from './path-shape.ts'

type Segment = PathSet['segments'][number]

type Node<Thing> = {
  readonly children: Map<Segment, Node<Thing>>
  readonly things: Thing[]
  readonly open: Thing[]
}

/** Things by the paths they take, so that ten thousand routes are not compared each with each. */
export type PathIndex<Thing> = {
  readonly add: (paths: PathSet, thing: Thing) => void
  /** Tells of everything added so far whose paths may overlap with these. */
  readonly overlapping: (paths: PathSet, found: (thing: Thing) => void) => void
}

export const pathIndex = <Thing>(): PathIndex<Thing> => {
  const node = (): Node<Thing> => ({ children: new Map(), things: [], open: [] })
  const root = node()

  const add = ({ segments, open }: PathSet, thing: Thing) => {
    let at = root
    for (const segment of segments) {
      const next = at.children.get(segment) ?? node()
      at.children.set(segment, next)
      at = next
    }
    ;(open ? at.open : at.things).push(thing)
  }

  const all = (at: Node<Thing>, found: (thing: Thing) => void) => {
    at.things.forEach(found)
    at.open.forEach(found)
    for (const child of at.children.values()) all(child, found)
  }

  const overlapping = ({ segments, open }: PathSet, found: (thing: Thing) => void) => {
    const walk = (at: Node<Thing>, depth: number) => {
      const segment = segments[depth]
      if (segment === undefined) {
        if (open) all(at, found)
        else {
          at.things.forEach(found)
          at.open.forEach(found)
        }
        return
      }
      at.open.forEach(found)
      const fitting: Iterable<Segment> =
        segment === anySegment ? at.children.keys() : [segment, anySegment]
      for (const next of fitting) {
        const child = at.children.get(next)
        if (child !== undefined) walk(child, depth + 1)
      }
    }
    walk(root, 0)
  }

  return { add, overlapping }
}
