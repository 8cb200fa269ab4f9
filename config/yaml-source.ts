import { resolve } from 'node:path'
import { LineCounter, parseDocument, type YAMLError } from 'yaml'
import { tick, type Fault } from './faults.ts'
import type { Environment } from './interpolate.ts'
import { readBounded } from './read-bounded.ts'
import { locateIn, type Place } from './yaml-place.ts'
import { plainTree } from './yaml-tree.ts'

const maxFileBytes = 16_777_216
const maxSyntaxFaults = 10

/** One file, read. */
export type Source = {
  /** As it is shown to people. */
  readonly file: string
  /** Absolute. Paths in the file are relative to its directory. */
  readonly path: string
  readonly value: Readonly<Record<string, unknown>>
  readonly locate: (pointer: string) => Place
  /** Pointers to values that have a fault already, so that nothing more is said of them. */
  readonly spoilt: ReadonlySet<string>
}

export type Read = {
  /** Undefined when the file could not be made sense of. */
  readonly source: Source | undefined
  readonly faults: readonly Fault[]
  /** Why the file could not be read at all. */
  readonly unreadable?: { readonly message: string; readonly remedy: string }
}

/** Reads a YAML file with its variables filled in, and remembers where each value stands. */
export const readSource = async (file: string, environment: Environment): Promise<Read> => {
  const text = await readText(file)
  return typeof text === 'string'
    ? parseSource(text, file, environment)
    : { source: undefined, faults: [], unreadable: text }
}

const readText = async (file: string) => {
  try {
    const bytes = await readBounded(file, maxFileBytes)
    if (bytes === undefined)
      return {
        message: `the file has more than the ${maxFileBytes} bytes that are read`,
        remedy: 'split it and `include:` the parts',
      }
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    const known = code === undefined ? undefined : unreadable.get(code)
    if (known === undefined) throw cause
    return known
  }
}

const unreadable = new Map([
  ['ENOENT', { message: 'there is no such file', remedy: 'name a file that exists' }],
  ['EISDIR', { message: 'this is a directory', remedy: 'name a file in it' }],
  ['ENOTDIR', { message: 'a part of this path is a file', remedy: 'name a file that exists' }],
  [
    'EACCES',
    { message: 'this file may not be read', remedy: 'give this user the right to read it' },
  ],
  [
    'EPERM',
    { message: 'this file may not be read', remedy: 'give this user the right to read it' },
  ],
  [
    'ERR_ENCODING_INVALID_ENCODED_DATA',
    { message: 'this is not UTF-8 text', remedy: 'save it as UTF-8' },
  ],
])

/** As `readSource`, for text that is there already. */
export const parseSource = (text: string, file: string, environment: Environment): Read => {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false, // ours is not quadratic and names both lines
    resolveKnownTags: false,
    logLevel: 'error', // 'silent' would also keep silent about a second document
  })
  const faultAt = (offset: number, path: string, message: string, remedy: string): Fault => {
    const { line, col } = lines.linePos(offset)
    return { file, line: Math.max(1, line), column: Math.max(1, col), path, message, remedy }
  }
  const mistakes = [...document.errors, ...document.warnings].slice(0, maxSyntaxFaults)
  const faults = mistakes.map((error) => {
    const line = text.slice(text.lastIndexOf('\n', error.pos[0] - 1) + 1).split('\n', 1)[0]
    return faultAt(error.pos[0], '', ...syntax(error, line ?? ''))
  })
  const yaml = document.directives?.yaml
  if (yaml?.explicit === true && yaml.version !== '1.2')
    faults.push(
      faultAt(0, '', `this is YAML ${yaml.version}`, 'take the %YAML line out: 1.2 is read'),
    )
  if (faults.length > 0) return { source: undefined, faults }

  const tree = plainTree(document.contents, environment)
  for (const { offset, path, message, remedy } of tree.complaints)
    faults.push(faultAt(offset, path, message, remedy))
  if (!isMapping(tree.value))
    return {
      source: undefined,
      faults: [
        ...faults,
        faultAt(0, '', 'this is not a configuration', 'begin with keys, such as `version: 1`'),
      ],
    }
  return {
    source: {
      file,
      path: resolve(file),
      value: tree.value,
      locate: (pointer) => locateIn(document.contents, lines, pointer),
      spoilt: tree.spoilt,
    },
    faults,
  }
}

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The parser's own words name what it met; the remedy is ours. */
const syntax = (error: YAMLError, line: string): [message: string, remedy: string] => {
  const message = `not well-formed YAML: ${error.message.split('\n')[0] ?? ''}`
  if (/[{[,].*\$\{/.test(line) && error.code !== 'TAB_AS_INDENT')
    return [message, 'put what has `${NAME}` in it in quotes: within `{}` and `[]` YAML needs them']
  switch (error.code) {
    case 'TAB_AS_INDENT':
      return [message, 'indent with spaces']
    case 'BAD_INDENT':
      return [message, 'indent keys that belong together by the same number of spaces']
    case 'BLOCK_AS_IMPLICIT_KEY':
    case 'MULTILINE_IMPLICIT_KEY':
      return [message, 'check the indentation, and quote a value that has `: ` in it']
    case 'MISSING_CHAR':
      return [message, 'close the quote or bracket that is open']
    case 'BAD_SCALAR_START':
      return [message, 'put the value in quotes']
    case 'MULTIPLE_DOCS':
      return ['there is more than one document here', 'take out the `---` line']
    case 'TAG_RESOLVE_FAILED':
      return [
        `the tag ${tick(error.message.replace(/^.*: /, ''))} has no meaning here`,
        'take it out',
      ]
    default:
      return [message, 'mend the syntax here']
  }
}
