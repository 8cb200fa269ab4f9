import { secret, type Secret } from './secret.ts'

const marker = '$secret'
/** A key that is written like the marker gets one `$` more on the way. */
const likeMarker = /^\$+secret$/

/**
 * Plain data that another thread or process of ours can be sent, with secrets in the open: for a channel between ourselves,
 * never a log.
 */
export const toPortable = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(toPortable)
  if (isSecret(value)) return { [marker]: value.reveal() }
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      likeMarker.test(key) ? `$${key}` : key,
      toPortable(inner),
    ]),
  )
}

const isSecret = (value: object): value is Secret<unknown> =>
  'reveal' in value && typeof value.reveal === 'function'

/** What it was before, frozen. What is given is taken over: it is changed in place, for 10,000 routes are not copied twice. */
export const fromPortable = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value
  const own = value as Record<string, unknown>
  if (Object.hasOwn(own, marker)) return secret(own[marker])
  for (const key of Object.keys(own)) {
    const inner = own[key]
    if (typeof inner === 'object' && inner !== null) own[key] = fromPortable(inner)
  }
  return Object.freeze(Object.keys(own).some((key) => likeMarker.test(key)) ? unescaped(own) : own)
}

const unescaped = (own: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(
    Object.entries(own).map(([key, inner]) => [likeMarker.test(key) ? key.slice(1) : key, inner]),
  )

/** A part of a value that is sent in pieces, each so small that whoever gets it is not held up: some entries of one list or map. */
export type Piece = {
  /** Keys that lead to the list or map. */
  readonly at: readonly string[]
  readonly isList: boolean
  /** JSON of `[key, value][]`, values portable. */
  readonly entries: string
}

/** About 1 ms to read. */
const nodesInPiece = 2000

/** A value of plain data and secrets in pieces, in order. Each is made when it is asked for. */
export const piecesOf = (value: object): Generator<Piece> => piecesAt(value, [])

function* piecesAt(value: object, at: readonly string[]): Generator<Piece> {
  const isList = Array.isArray(value)
  let batch: [string, unknown][] = []
  let nodes = 0
  const take = (): Piece => {
    const piece = { at, isList, entries: JSON.stringify(batch) }
    batch = []
    nodes = 0
    return piece
  }
  for (const [key, inner] of Object.entries(value)) {
    const more = nodesIn(inner, nodesInPiece)
    if (more > nodesInPiece) {
      yield take() // also where it is empty: it makes the list or map, and keys stay in order
      yield* piecesAt(inner as object, [...at, key])
      continue
    }
    if (nodes + more > nodesInPiece) yield take()
    batch.push([key, toPortable(inner)])
    nodes += more
  }
  yield take()
}

/** How much a value holds, itself among it; counted no further than a little over `enough`. */
const nodesIn = (value: unknown, enough: number): number => {
  if (typeof value !== 'object' || value === null || isSecret(value)) return 1
  let nodes = 1
  for (const inner of Object.values(value)) {
    nodes += nodesIn(inner, enough - nodes)
    if (nodes > enough) break
  }
  return nodes
}

export type Joining = {
  readonly add: (piece: Piece) => void
  /** The value, frozen, once all pieces were added. */
  readonly whole: () => unknown
}

/** Puts pieces together again. */
export const joining = (): Joining => {
  type Container = Record<string, unknown>
  const root: { value?: Container } = {}
  const made = new Set<Container>()
  const containerAt = ({ at, isList }: Piece): Container => {
    let above: Container = root
    for (const key of ['value', ...at.slice(0, -1)].slice(0, at.length))
      above = above[key] as Container
    const last = at.at(-1) ?? 'value'
    const found = above[last] as Container | undefined
    if (found) return found
    const fresh = (isList ? [] : {}) as Container
    above[last] = fresh
    made.add(fresh)
    return fresh
  }
  return {
    add: (piece) => {
      const container = containerAt(piece)
      const entries = JSON.parse(piece.entries) as [string, unknown][]
      for (const [key, inner] of entries) container[key] = fromPortable(inner)
    },
    whole: () => {
      for (const container of made) Object.freeze(container)
      return root.value
    },
  }
}
