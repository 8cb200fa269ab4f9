import { dirname, isAbsolute, join, resolve } from 'node:path'
import { quote, tick, type Fault } from './faults.ts'
import type { Environment } from './interpolate.ts'
import { segmentsOfPointer, pointerTo, readablePath } from './pointer.ts'
import { readSource, type Source } from './yaml-source.ts'
import type { Place } from './yaml-place.ts'

const maxFiles = 64

/** A configuration from one file and all that it includes. */
export type Gathered = {
  /** Top-level keys of all files, without `include`. */
  readonly value: Record<string, unknown>
  /** False when a file could not be read: then nothing can be said about what is missing. */
  readonly whole: boolean
  /** Absolute paths, the first file first. */
  readonly paths: readonly string[]
  /** Where a value stands. What stands nowhere is looked for in the first file. */
  readonly locate: (pointer: string) => Place & { readonly file: string }
  /** Absolute: what paths in the value at `pointer` are relative to. */
  readonly directoryOf: (pointer: string) => string
  /** Pointers to values that have a fault already. */
  readonly spoilt: ReadonlySet<string>
  readonly faults: readonly Fault[]
}

/**
 * Reads a file and those that its `include:` names, and theirs. Each top-level key stands in exactly one file, so
 * nothing overrides anything; only `version` may be said in each.
 */
export const gather = async (file: string, environment: Environment): Promise<Gathered> => {
  const faults: Fault[] = []
  const value: Record<string, unknown> = {}
  const owners = new Map<string, Source>()
  const sources: Source[] = []
  let whole = true

  const fault: FaultAt = (source, pointer, message, remedy) => {
    const { line, column } = source.locate(pointer).value
    faults.push({ file: source.file, line, column, path: readablePath(pointer), message, remedy })
  }

  const merge = (source: Source) => {
    for (const [key, own] of Object.entries(source.value)) {
      if (key === 'include') continue
      const owner = owners.get(key)
      if (owner === undefined) {
        owners.set(key, source)
        value[key] = own
      } else if (key !== 'version' || own !== value[key]) {
        const other = `${owner.file}:${owner.locate(pointerTo('', key)).key.line}`
        fault(
          source,
          pointerTo('', key),
          `${tick(key)} also stands in ${other}`,
          'keep one of the two',
        )
      }
    }
  }

  const visit = async (name: string, within: readonly string[], complainOf: Complain) => {
    const { source, faults: found, unreadable } = await readSource(name, environment)
    faults.push(...found)
    if (unreadable !== undefined) complainOf(unreadable.message, unreadable.remedy)
    if (source === undefined) {
      whole = false
      return
    }
    sources.push(source)
    merge(source)
    for (const [pointer, included] of includesOf(source, fault)) {
      const path = resolve(dirname(source.path), included)
      const complain = (message: string, remedy: string) =>
        fault(source, pointer, `${quote(included)}: ${message}`, remedy)
      if (path === source.path || within.includes(path))
        complain('this file includes itself', 'take one `include` out')
      else if (sources.some((seen) => seen.path === path))
        complain('this file is included twice', 'include it in one place')
      else if (sources.length >= maxFiles)
        complain(`more than ${maxFiles} files are included`, 'put some of them together')
      else {
        const shown = isAbsolute(included) ? included : join(dirname(source.file), included)
        await visit(shown, [...within, source.path], complain)
      }
    }
  }
  await visit(file, [], (message, remedy) => {
    faults.push({ file, line: 1, column: 1, path: '', message, remedy })
  })

  const sourceOf = (pointer: string): Source | undefined =>
    owners.get(segmentsOfPointer(pointer)[0] ?? '') ?? sources[0]
  return {
    value,
    whole,
    paths: sources.map(({ path }) => path),
    locate: (pointer) => {
      const source = sourceOf(pointer)
      const nowhere = { line: 1, column: 1 }
      const place = source?.locate(pointer) ?? { key: nowhere, value: nowhere, written: undefined }
      return { ...place, file: source?.file ?? file }
    },
    directoryOf: (pointer) => dirname(sourceOf(pointer)?.path ?? file),
    spoilt: new Set(
      sources.flatMap((source) =>
        [...source.spoilt].filter((pointer) => sourceOf(pointer) === source),
      ),
    ),
    faults,
  }
}

type Complain = (message: string, remedy: string) => void
type FaultAt = (source: Source, pointer: string, message: string, remedy: string) => void

const includesOf = (source: Source, fault: FaultAt): (readonly [string, string])[] => {
  const include = source.value.include
  if (include === undefined) return []
  if (!Array.isArray(include)) {
    const remedy = 'write a list of files: `include: [shared.yaml]`'
    fault(source, '/include', `\`include\` is ${quote(include)}`, remedy)
    return []
  }
  return include.flatMap((name: unknown, i) => {
    const pointer = pointerTo('/include', i)
    if (source.spoilt.has(pointer)) return []
    if (typeof name === 'string' && name !== '') return [[pointer, name] as const]
    fault(source, pointer, `${quote(name)} is not the name of a file`, 'name a file')
    return []
  })
}
