import { resolve } from 'node:path'
import { readablePath, replaceAt, valueAt } from './pointer.ts'
import { disagreements } from './agreement.ts'
import { tick, type Fault, type Finding } from './faults.ts'
import { gather, type Gathered } from './include.ts'
import type { Environment } from './interpolate.ts'
import {
  subjectOf,
  type ConfigFile,
  type ConfigKind,
  type Rule,
  type Subject,
} from './rules/rule.ts'
import { schemas } from './schemas.ts'
import { validate } from './validate.ts'

/** All that is known of one configuration. */
export type Examined = {
  readonly file: string
  /** Undefined when it is neither. */
  readonly kind: ConfigKind | undefined
  readonly faults: readonly Fault[]
  readonly warnings: readonly Fault[]
  /** Defaults filled in, paths absolute, secrets not read yet. Of its schema's shape if there are no faults. */
  readonly value: Record<string, unknown>
  /** Pointers to the `{ file: PATH }` and `{ env: NAME }` mappings that become secrets. */
  readonly secrets: readonly string[]
  /** Absolute paths of all files that it was made from, or that are read because it names them. */
  readonly paths: readonly string[]
  /** For comparing it with another; undefined when there is nothing to compare. */
  readonly subject: Subject | undefined
  readonly place: (finding: Finding) => Fault
}

/**
 * Reads a configuration and asks all the rules of it, so that all faults are told at once.
 *
 * @param expected What it has to be; otherwise its keys tell.
 */
export const examine = async (
  file: string,
  expected: ConfigKind | undefined,
  environment: Environment,
  rules: readonly Rule[],
): Promise<Examined> => {
  const gathered = await gather(file, environment)
  const place = placed(gathered)
  const known = { file, place, value: gathered.value }
  const kind = kindOf(gathered.value) ?? expected
  // What is missing may stand in the part that could not be read.
  if (!gathered.whole || kind === undefined || (expected !== undefined && kind !== expected)) {
    const more = gathered.whole ? [place(wrongKind(kind, expected))] : []
    const faults = [...gathered.faults, ...more]
    return {
      ...known,
      kind,
      faults,
      warnings: [],
      secrets: [],
      paths: gathered.paths,
      subject: undefined,
    }
  }

  const shape = validate(
    schemas[kind],
    gathered.value,
    (pointer) => gathered.locate(pointer).written,
  )
  const files = shape.files.map(({ pointer, ...rest }): ConfigFile => {
    const path = resolve(gathered.directoryOf(pointer), String(valueAt(gathered.value, pointer)))
    replaceAt(gathered.value, pointer, path)
    return { pointer, path, ...rest }
  })
  const misshapen = shape.findings.filter(({ pointer }) => !gathered.spoilt.has(pointer))
  const subject = subjectOf(
    kind,
    gathered.value,
    [...gathered.spoilt, ...misshapen.filter(({ aside }) => !aside).map(({ pointer }) => pointer)],
    files.filter(({ pointer }) => !gathered.spoilt.has(pointer)),
  )
  const findings = [...misshapen, ...rules.flatMap((rule) => rule(subject))]
  const [warnings, faults] = partition(findings, ({ severity }) => severity === 'warning')
  return {
    ...known,
    kind,
    faults: inOrder([...gathered.faults, ...faults.map(place)]),
    warnings: inOrder(warnings.map(place)),
    secrets: shape.secrets,
    paths: [...new Set([...gathered.paths, ...files.filter(isRead).map(({ path }) => path)])],
    subject,
  }
}

/** Not what is written by us, nor what matters at the start alone. */
const isRead = ({ access }: ConfigFile): boolean => access === 'read' || access === 'unchecked'

/** Each as it is by itself, and with what a gateway and an exchange among them disagree on. */
export const compared = (all: readonly Examined[]): readonly Examined[] => {
  const extra = new Map<Examined, Finding[]>(all.map((examined) => [examined, []]))
  for (const gateway of all.filter(({ kind }) => kind === 'gateway'))
    for (const exchange of all.filter(({ kind }) => kind === 'exchange')) {
      if (gateway.subject === undefined || exchange.subject === undefined) continue
      for (const found of disagreements(gateway.subject, exchange.subject))
        extra.get(found.in === 'gateway' ? gateway : exchange)?.push(found)
    }
  return all.map((examined) => {
    const [warnings, faults] = partition(
      extra.get(examined) ?? [],
      ({ severity }) => severity === 'warning',
    )
    return {
      ...examined,
      faults: inOrder([...examined.faults, ...faults.map(examined.place)]),
      warnings: inOrder([...examined.warnings, ...warnings.map(examined.place)]),
    }
  })
}

/** What a configuration is, by the keys that only one kind has. */
const kindOf = (value: Readonly<Record<string, unknown>>): ConfigKind | undefined => {
  const own = (kind: ConfigKind, other: ConfigKind) =>
    Object.keys(schemas[kind].properties ?? {}).filter(
      (key) => !Object.hasOwn(schemas[other].properties ?? {}, key) && Object.hasOwn(value, key),
    ).length
  const [gateway, exchange] = [own('gateway', 'exchange'), own('exchange', 'gateway')]
  if (gateway === exchange) return undefined
  return gateway > exchange ? 'gateway' : 'exchange'
}

const wrongKind = (kind: ConfigKind | undefined, expected: ConfigKind | undefined): Finding => ({
  pointer: '',
  at: 'value',
  ...(kind === undefined
    ? {
        message: 'this is the configuration of neither a gateway nor an exchange',
        remedy: 'a gateway has `routes` and `upstreams`, an exchange `ca` and `gateways`',
      }
    : {
        message: `this is the configuration of ${withArticle(kind)}`,
        remedy: `name that of ${withArticle(expected ?? kind)}, or start ${tick(`sallyport ${kind}`)}`,
      }),
})

const withArticle = (kind: ConfigKind) => (kind === 'gateway' ? 'a gateway' : 'an exchange')

const placed =
  (gathered: Gathered) =>
  ({ pointer, at, message, remedy }: Finding): Fault => {
    const { file, written, [at]: position } = gathered.locate(pointer)
    const value = valueAt(gathered.value, pointer)
    // What a variable held is not shown, wherever a message quotes it.
    const shown =
      written === undefined || typeof value !== 'string' || value === ''
        ? message
        : message.replaceAll(value, written)
    return { file, ...position, path: readablePath(pointer), message: shown, remedy }
  }

/** By file and line, each once. */
const inOrder = (faults: readonly Fault[]): Fault[] => {
  const files = [...new Set(faults.map(({ file }) => file))]
  const seen = new Set<string>()
  return faults
    .filter((fault) => !seen.has(JSON.stringify(fault)) && seen.add(JSON.stringify(fault)))
    .sort(
      (a, b) =>
        files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column,
    )
}

const partition = <Item>(
  items: readonly Item[],
  goesFirst: (item: Item) => boolean,
): [Item[], Item[]] => [items.filter(goesFirst), items.filter((item) => !goesFirst(item))]
