import { makeMemo, type Memo } from './memo.ts'
import type { Scanner } from './scanner.ts'
import type { Variable } from './variables.ts'

/** What is asked of some entries of a variable; `accepts` undefined: of all. */
export type Slot = {
  readonly accepts: ((key: string) => boolean) | undefined
  readonly scanner: Scanner
}

/** What is asked of one variable before the first rule of a phase runs. */
export type VariableScan = {
  readonly variable: Variable
  /** Hits of one entry. */
  readonly scanEntry: (key: string, value: string) => readonly number[]
  /** The same for a long value, in small pieces. */
  readonly scanSlowly: (key: string, value: string) => Generator<undefined, readonly number[]>
  /** Hits of the numbers of entries. */
  readonly scanCounts: ((keys: readonly string[]) => readonly number[]) | undefined
}

const maxRememberedBytes = 512
const maxRemembered = 1000
const maxKeys = 500

type Choice = { readonly scanners: readonly Scanner[]; readonly memo: Memo<readonly number[]> }

/** Entries with different keys may concern the same rules, and then share what is remembered of their values. */
export const makeVariableScan = (
  variable: Variable,
  slots: readonly Slot[],
  counts: readonly Slot[],
): VariableScan => {
  const choices = new Map<string, Choice>()
  const choiceOfKey = makeMemo<Choice>(maxKeys)
  const choiceFor = (key: string): Choice => {
    const chosen = slots.filter(({ accepts }) => accepts === undefined || accepts(key))
    const name = chosen.map((slot) => slots.indexOf(slot)).join()
    const known = choices.get(name)
    if (known) return known
    const scanners = chosen.map(({ scanner }) => scanner)
    const made: Choice = { scanners, memo: makeMemo(maxRemembered) }
    choices.set(name, made)
    return made
  }
  const depends = slots.some(({ accepts }) => accepts !== undefined)
  const always = depends ? undefined : choiceFor('')

  const rememberedChoice = (key: string): Choice => {
    const known = choiceOfKey.get(key)
    if (known) return known
    const made = choiceFor(key)
    choiceOfKey.set(key, made)
    return made
  }
  const scanEntry = (key: string, value: string): readonly number[] => {
    const { scanners, memo } = always ?? rememberedChoice(key)
    if (scanners.length === 0) return noHits
    if (value.length > maxRememberedBytes) return scanAll(scanners, value)
    const known = memo.get(value)
    if (known) return known
    const hits = scanAll(scanners, value)
    memo.set(value, hits)
    return hits
  }
  const scanSlowly = function* (
    key: string,
    value: string,
  ): Generator<undefined, readonly number[]> {
    const { scanners } = always ?? rememberedChoice(key)
    const hits: number[] = []
    for (const scanner of scanners) hits.push(...(yield* scanner.scanSlowly(value)))
    return hits
  }
  return {
    variable,
    scanEntry,
    scanSlowly,
    scanCounts: counts.length === 0 ? undefined : countScan(counts),
  }
}

const noHits: readonly number[] = Object.freeze([])

const scanAll = (scanners: readonly Scanner[], value: string): readonly number[] => {
  const [first] = scanners
  if (first && scanners.length === 1) return first.scan(value)
  const hits = scanners.flatMap((scanner) => scanner.scan(value))
  return hits.length === 0 ? noHits : hits
}

/** Few numbers occur, so what a scanner says of each is kept. */
const countScan = (counts: readonly Slot[]) => {
  const memos = counts.map(() => makeMemo<readonly number[]>(100))
  return (keys: readonly string[]): readonly number[] => {
    const hits: number[] = []
    counts.forEach(({ accepts, scanner }, i) => {
      let count = 0
      if (accepts === undefined) count = keys.length
      else for (const key of keys) if (accepts(key)) count++
      const text = String(count)
      let found = memos[i]?.get(text)
      if (found === undefined) {
        found = scanner.scan(text)
        memos[i]?.set(text, found)
      }
      for (const hit of found) hits.push(hit)
    })
    return hits
  }
}
