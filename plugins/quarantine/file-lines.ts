import type { QuarantineEntry } from '#contract/quarantine'
import { parseEntry } from './entry.ts'
import type { Change } from './list.ts'

const header = '{"sallyport":"quarantine","version":1}'
const linesAtOnce = 500

export type QuarantineContent = {
  readonly entries: readonly QuarantineEntry[]
  readonly lastChange: string
  readonly lines: number
  /** Its last line is whole: more may be appended. */
  readonly isWhole: boolean
}

type Line = (Change | { readonly add?: never }) & { readonly lastChange: string }

/** One change, as a line. */
export const lineOf = (line: Line): string => `${JSON.stringify(line)}\n`

/** All there is, in portions, so that a long list does not hold up requests while it is written. */
export const linesOf = function* (
  entries: readonly QuarantineEntry[],
  lastChange: string,
): Generator<string> {
  yield `${header}\n${lineOf({ lastChange })}`
  for (let i = 0; i < entries.length; i += linesAtOnce)
    yield entries
      .slice(i, i + linesAtOnce)
      .map((add) => lineOf({ add, lastChange }))
      .join('')
}

/**
 * Reads what a file holds. A last line that was not finished is what a crash leaves of a change that nobody was told of; it
 * is dropped.
 *
 * @throws Error that names the file, the line and the remedy when something else is wrong: to go on without it would let
 *   those in who are cut off.
 */
export const readLines = async (
  file: string,
  content: AsyncIterable<string>,
): Promise<QuarantineContent> => {
  const entries = new Map<string, QuarantineEntry>()
  let lastChange = ''
  let number = 0
  const take = (text: string) => {
    number += 1
    if (number === 1) {
      if (text !== header) throw unfit(file, number, 'it is not the file of a quarantine')
      return
    }
    const line = readLine(text)
    if (typeof line === 'string') throw unfit(file, number, line)
    lastChange = line.lastChange
    if (line.add !== undefined) entries.set(line.add.id, line.add)
    else if (line.lift !== undefined) entries.delete(line.lift)
  }
  let unfinished = ''
  for await (const part of content) {
    const lines = (unfinished + part).split('\n')
    unfinished = lines.pop() ?? ''
    for (const line of lines) take(line)
  }
  if (number === 0) take(unfinished)
  return {
    entries: [...entries.values()],
    lastChange,
    lines: number,
    isWhole: unfinished === '',
  }
}

type ReadLine = {
  readonly add: QuarantineEntry | undefined
  readonly lift: string | undefined
  readonly lastChange: string
}

const readLine = (text: string): ReadLine | string => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'this is not JSON'
  }
  if (typeof value !== 'object' || value === null) return 'this is not an object'
  const { add, lift, lastChange } = value as Record<string, unknown>
  if (typeof lastChange !== 'string') return 'lastChange is missing'
  if (lift !== undefined && typeof lift !== 'string') return 'lift is not an id'
  if (add === undefined) return { add: undefined, lift, lastChange }
  const entry = parseEntry(add)
  return entry.ok
    ? { add: entry.value, lift, lastChange }
    : (entry.problem.detail ?? 'this is not an entry')
}

const unfit = (file: string, line: number, what: string) =>
  new Error(
    `quarantine.file ${file}:${line}: ${what}. It says who is cut off, so nothing is started without it: restore it, or move it away to begin with an empty list.`,
  )
