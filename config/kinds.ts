import { listed, tick, type Complaint } from './faults.ts'
import { nearest } from './nearest.ts'

/** The parts of a JSON Schema that tell the branches of an `anyOf` apart. */
export type Branch = {
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly format?: string
  readonly properties?: Readonly<Record<string, Branch>>
}

export type Choice =
  | { readonly branch: number }
  | (Complaint & {
      /** A key below the value, when that or what stands there is to blame. */
      readonly key?: string
      readonly at?: 'key' | 'value'
    })

/**
 * Finds the branch of an `anyOf` that a value is meant to be, before it is known to be right. So a fault is told of the
 * branch that was meant, where `anyOf` itself would tell one for each.
 *
 * @param show The value, or what stands at a key of it, as it may be shown.
 */
export const chooseKind = (
  value: unknown,
  branches: readonly Branch[],
  show: (key?: string) => string,
): Choice => {
  const exact = branches.findIndex((branch) => constantsOf(branch).includes(value))
  if (exact >= 0) return { branch: exact }
  const fitting = [...branches.keys()].filter((i) => isOfType(value, branches[i]))
  const [only] = fitting
  if (only === undefined) return noneFits(value, branches, show)
  if (fitting.length === 1 || typeof value !== 'object' || value === null) return { branch: only }
  return chooseObject(value, branches, fitting, show)
}

const constantsOf = (branch: Branch): readonly unknown[] =>
  'const' in branch ? [branch.const] : (branch.enum ?? [])

const isOfType = (value: unknown, branch: Branch | undefined): boolean => {
  if (branch === undefined || constantsOf(branch).length > 0) return false
  if (Array.isArray(value)) return branch.type === 'array'
  if (value === null) return branch.type === 'null'
  if (typeof value === 'number') return branch.type === 'number' || branch.type === 'integer'
  return branch.type === typeof value
}

const noneFits = (value: unknown, branches: readonly Branch[], show: () => string): Complaint => {
  const words = branches.flatMap(constantsOf).filter((word) => typeof word === 'string')
  const meant = typeof value === 'string' ? nearest(value, words) : undefined
  return {
    message: value === null ? 'nothing stands here' : `${show()} is not what stands here`,
    remedy:
      meant === undefined ? `write ${describeBranches(branches)}` : `did you mean ${tick(meant)}?`,
  }
}

const chooseObject = (
  value: object,
  branches: readonly Branch[],
  fitting: readonly number[],
  show: (key: string) => string,
): Choice => {
  const propertiesOf = (i: number) => branches[i]?.properties ?? {}
  const word = discriminator(fitting.map(propertiesOf))
  if (word !== undefined) {
    const said: unknown = Object.hasOwn(value, word)
      ? (value as Record<string, unknown>)[word]
      : undefined
    const found = fitting.find((i) => propertiesOf(i)[word]?.const === said)
    if (found !== undefined) return { branch: found }
    return wrongWord(
      word,
      said,
      show(word),
      fitting.map((i) => String(propertiesOf(i)[word]?.const)),
    )
  }
  // Keys that belong to one branch alone tell it from the others.
  const own = fitting.map((i) => {
    const others = fitting.filter((j) => j !== i).flatMap((j) => Object.keys(propertiesOf(j)))
    return Object.keys(propertiesOf(i)).filter((key) => !others.includes(key))
  })
  const named = fitting.filter((_, n) => own[n]?.some((key) => Object.hasOwn(value, key)))
  const [first] = named
  if (first !== undefined && named.length === 1) return { branch: first }
  const keys = own.flat()
  if (named.length > 1) {
    const both = keys.filter((key) => Object.hasOwn(value, key))
    return { message: `${listed(both)} stand here together`, remedy: 'keep one of them' }
  }
  return noKeyOf(keys, Object.keys(value))
}

/** The property that is a constant in every branch, such as `source`. */
const discriminator = (all: readonly Readonly<Record<string, Branch>>[]): string | undefined =>
  Object.keys(all[0] ?? {}).find((key) =>
    all.every((properties) => properties[key] !== undefined && 'const' in properties[key]),
  )

const wrongWord = (key: string, said: unknown, shown: string, words: readonly string[]): Choice => {
  if (said === undefined)
    return { message: `${tick(key)} is missing`, remedy: `say ${listed(words, 'or')}` }
  const meant = typeof said === 'string' ? nearest(said, words) : undefined
  return {
    key,
    message: `${shown} is not one of ${listed(words)}`,
    remedy: meant === undefined ? `say ${listed(words, 'or')}` : `did you mean ${tick(meant)}?`,
  }
}

const noKeyOf = (keys: readonly string[], written: readonly string[]): Choice => {
  for (const key of written) {
    const meant = nearest(key, keys)
    if (meant !== undefined)
      return {
        key,
        at: 'key',
        message: `unknown key ${tick(key)}`,
        remedy: `did you mean ${tick(meant)}?`,
      }
  }
  return { message: `none of ${listed(keys)} stands here`, remedy: `write ${listed(keys, 'or')}` }
}

/** Mappings that differ by one key each are told in one breath. */
const describeBranches = (branches: readonly Branch[]): string => {
  const keys = branches.map(({ properties }) => Object.keys(properties ?? {}))
  return keys.every((own) => own.length === 1)
    ? `a mapping with ${listed(keys.flat(), 'or')}`
    : branches.map(describeBranch).join(', or ')
}

const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0

/** A branch in words, as it may be written. */
export const describeBranch = (branch: Branch): string => {
  const constants = constantsOf(branch)
  if (constants.length > 0) return listed(constants.map(String), 'or')
  if (branch.type === 'object') {
    // What has a default need not be written, unless that is an empty list.
    const keys = Object.entries(branch.properties ?? {}).flatMap(([key, schema]) =>
      'default' in schema && !isEmptyList(schema.default) ? [] : [key],
    )
    return keys.length === 0 ? 'a mapping' : `a mapping with ${listed(keys)}`
  }
  if (branch.type === 'array') return 'a list'
  if (branch.format === 'file') return 'the name of a file'
  return branch.type === 'string' ? 'text' : `a ${branch.type ?? 'value'}`
}
