import type { Link, Rule } from '../seclang/rule.ts'

/** A rule ready to run, at its place in the list of its phase. */
export type Unit = {
  readonly rule: Rule
  readonly links: readonly Link[]
  /** The unit to go on with after a match; -1 for the next. */
  readonly skipTo: number
  /** Texts of its tags, which exclusions by tag look at. */
  readonly tags: readonly string[]
}
