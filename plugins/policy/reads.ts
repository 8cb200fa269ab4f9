import type { PolicyInput, PolicyReads } from '#contract/policy'

/** Each of them is a digit of one number, of three values. */
const maxPaths = 30
const pathShape = /^[a-zA-Z]\w*(?:\.[a-zA-Z]\w*)*$/

/**
 * Takes from the manifest of a bundle what its policy reads, as `config/policy/build.ts` writes it there.
 *
 * @param wasmDigest SHA-256 of the module in the bundle, in hex: what is said of another one is not believed.
 * @returns undefined if nothing is said, or nothing that can be used: then the whole input counts.
 */
export const readsIn = (
  manifest: object,
  entrypoint: string,
  wasmDigest: string,
): PolicyReads | undefined => {
  const said = memberOf(memberOf(manifest, 'metadata'), 'sallyport')
  if (memberOf(said, 'wasm') !== wasmDigest) return undefined
  const reads = memberOf(memberOf(said, 'reads'), entrypoint)
  const values = memberOf(reads, 'values')
  const strings = memberOf(reads, 'strings')
  return isPaths(values) && isPaths(strings) && values.length + strings.length <= maxPaths
    ? { values, strings }
    : undefined
}

const isPaths = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((path) => typeof path === 'string' && pathShape.test(path))

/**
 * A text of what a policy reads of an input: the same text for inputs that are the same to it. A member that is not there is
 * told from one that is null, as a policy can.
 */
export const textOfReads = (reads: PolicyReads): ((input: PolicyInput) => string) => {
  const members = membersRead(reads)
  return (input) => {
    const found = Array<unknown>(reads.values.length)
    const there = findAll(input, members, found)
    return `${there}${JSON.stringify(found)}`
  }
}

/** A member that is read, or has such members. So each object on the way to them is looked at once. */
type MemberRead = {
  readonly name: string
  /** Of its value among what is found; -1 where it is not read. */
  place: number
  /** What it counts for if it is there, and twice that if it is a string, as digits of one number to the base 3. */
  valueWeight: number
  stringWeight: number
  readonly below: MemberRead[]
}

const membersRead = ({ values, strings }: PolicyReads): readonly MemberRead[] => {
  const top: MemberRead[] = []
  const memberAt = (path: string): MemberRead => {
    let among = top
    let member: MemberRead | undefined
    for (const name of path.split('.')) {
      member = among.find((one) => one.name === name)
      if (!member) {
        member = { name, place: -1, valueWeight: 0, stringWeight: 0, below: [] }
        among.push(member)
      }
      among = member.below
    }
    return member as MemberRead // `split` gives one name at least
  }
  for (const [place, path] of values.entries())
    Object.assign(memberAt(path), { place, valueWeight: 3 ** place })
  for (const [i, path] of strings.entries()) memberAt(path).stringWeight = 3 ** (values.length + i)
  return top
}

/** @returns Which members are there, and which are strings, as one number. */
const findAll = (value: unknown, members: readonly MemberRead[], found: unknown[]): number => {
  let there = 0
  for (const { name, place, valueWeight, stringWeight, below } of members) {
    const member = memberOf(value, name)
    if (member === undefined) continue
    if (place >= 0) found[place] = member
    // Asked of what is not there, a policy gets no answer, which it can tell from "no".
    there += valueWeight + (typeof member === 'string' ? 2 : 1) * stringWeight
    if (below.length > 0) there += findAll(member, below, found)
  }
  return there
}

/** Of a JSON object: a list has no members by name, its length neither. */
const memberOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined

/**
 * How many bytes the rest of an input can take as JSON, at most: what the policy does not read, and all names of members.
 * Infinity where a text is not well-formed Unicode, or nothing is known of a value.
 */
export const maxBytesOfRest = ({ values }: PolicyReads): ((input: PolicyInput) => number) => {
  const tree = treeOf(values.map((path) => path.split('.')))
  return (input) => bytesBeside(input, tree)
}

/** By the names of members: 'read' for what is read as a whole. */
type Tree = ReadonlyMap<string, Tree | 'read'>

const treeOf = (paths: readonly (readonly string[])[]): Tree => {
  const below = Map.groupBy(paths, ([name = '']) => name)
  return new Map(
    [...below].map(([name, of]) => [
      name,
      of.some(({ length }) => length === 1) ? 'read' : treeOf(of.map(([, ...path]) => path)),
    ]),
  )
}

const maxBytesOfCodeUnit = 6 // as `\u0000`
const maxBytesOfNumber = 32

const bytesBeside = (value: unknown, tree: Tree | undefined): number => {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed() ? maxBytesOfCodeUnit * value.length + 2 : Number.POSITIVE_INFINITY
    case 'object': {
      if (value === null) return maxBytesOfNumber
      let bytes = 2
      for (const name of Object.keys(value)) {
        const below = tree?.get(name)
        bytes += bytesBeside(name, undefined) + 2
        if (below !== 'read')
          bytes += bytesBeside((value as Readonly<Record<string, unknown>>)[name], below)
      }
      return bytes
    }
    case 'number':
    case 'boolean':
    case 'undefined':
      return maxBytesOfNumber
    default:
      return Number.POSITIVE_INFINITY
  }
}
