import type { Draft } from '../draft.ts'
import type { Place } from '../syntax.ts'

/** What a directive does to what has been loaded so far. @throws TypeError for words it cannot read */
export type DirectiveWord = (draft: Draft, words: readonly string[], place: Place) => void
