import type { AskBlockList } from '../block-lists.ts'
import type { Entries } from '../engine/entries.ts'
import type { GeoDatabase } from '../geo-database.ts'
import type { Requirement } from '../regex/requirement.ts'

/** An operator with its argument: asks one thing of a value. Values are latin1 strings. */
export type Test = {
  readonly test: (value: string) => boolean
  /** Of a value that matched, what `capture` puts into TX.0 to TX.9. Without it nothing is captured. */
  readonly capture?: (value: string) => readonly string[]
  /**
   * The same in pieces, for long values that could take long: pauses now and then, and gives what captures at last, or
   * undefined if it does not match.
   */
  readonly search?: (value: string) => Generator<undefined, (() => readonly string[]) | undefined>
  /** The same where the answer comes from elsewhere: then this alone is asked. */
  readonly ask?: (value: string) => Promise<(() => readonly string[]) | undefined>
  /** Of a value that matched, what `GEO:` is to say of it. */
  readonly locate?: (value: string) => Entries | undefined
  /** What a value must have to match: the gate asks it before `test`. */
  readonly requirement?: Requirement
}

/** What an operator may need while its argument is compiled. */
export type OperatorContext = {
  /** Lines of a file named in a rule, relative to the rule's own file. @throws TypeError if it cannot be read */
  readonly readFile: (name: string) => string
  /** As they are when all files are read. */
  readonly settings: () => {
    readonly geoLookupDb: GeoDatabase | undefined
    readonly httpBlKey: string | undefined
  }
  readonly askBlockList: AskBlockList
}

/**
 * Compiles an operator's argument.
 *
 * @throws TypeError, quoting it, for an argument it cannot read: a rule is never weakened in silence.
 */
export type Operator = (argument: string, context: OperatorContext) => Test
