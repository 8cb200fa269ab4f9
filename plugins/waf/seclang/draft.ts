import type { AskBlockList } from '../block-lists.ts'
import type { Entry, Note, Settings } from './rule.ts'
import { noActions } from '../actions/action.ts'
import type { Test } from '../operators/operator.ts'
import { defaultSettings } from './rule.ts'
import type { Actions, Phase } from './syntax.ts'

/** What loading has come to so far. The directives change it. */
export type Draft = {
  readonly entries: Entry[]
  settings: Settings
  readonly defaults: Map<Phase, Actions>
  readonly notes: Note[]
  readonly files: string[]
  readonly signatures: string[]
  readonly ids: Map<number, string>
  /** Compiled operators by name, argument and folder: rules share many. */
  readonly tests: Map<string, Test>
  readonly askBlockList: AskBlockList
  /** Whether the last rule waits for its next link. */
  chainOpen: boolean
}

export const newDraft = (askBlockList: AskBlockList): Draft => ({
  askBlockList,
  entries: [],
  settings: defaultSettings,
  defaults: new Map(
    ([1, 2, 3, 4, 5] as const).map((phase) => [
      phase,
      { ...noActions, log: true, auditLog: true, disruption: { kind: 'pass' } },
    ]),
  ),
  notes: [],
  files: [],
  signatures: [],
  ids: new Map(),
  tests: new Map(),
  chainOpen: false,
})
