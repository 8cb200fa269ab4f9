import type { ByteSet } from './byte-set.ts'

/** Where an assertion holds. `end` is PCRE's `$` with DOLLAR_ENDONLY: the very end, never before a last newline. */
export type Assertion = 'start' | 'end' | 'lineStart' | 'lineEnd' | 'word' | 'notWord'

/** A pattern, parsed. Case folding and `.` are resolved to byte sets already. */
export type Node =
  | { readonly kind: 'set'; readonly set: ByteSet }
  | { readonly kind: 'concat'; readonly items: readonly Node[] }
  | { readonly kind: 'alternate'; readonly items: readonly Node[] }
  | {
      readonly kind: 'repeat'
      readonly item: Node
      readonly min: number
      /** -1: without end. */
      readonly max: number
      readonly greedy: boolean
    }
  | { readonly kind: 'group'; readonly item: Node; readonly index: number }
  | { readonly kind: 'assert'; readonly what: Assertion }
  // The three below need backtracking: a pattern that has them does not run on the automaton.
  | {
      readonly kind: 'look'
      readonly item: Node
      readonly ahead: boolean
      readonly negated: boolean
    }
  | { readonly kind: 'atomic'; readonly item: Node }
  | { readonly kind: 'backreference'; readonly index: number }

export type Parsed = { readonly root: Node; readonly groupCount: number; readonly regular: boolean }

/** A pattern that cannot be read, or that uses what is not supported. The message quotes the place. */
export class PatternError extends Error {
  override readonly name = 'PatternError'
}
