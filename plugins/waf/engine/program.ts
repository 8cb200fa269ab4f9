import type { Entry, LoadedRules, Settings } from '../seclang/rule.ts'
import { phases, type Phase } from '../seclang/syntax.ts'
import { foldRules } from './fold.ts'
import { makeKeptCollections, type KeptCollections } from './kept-collections.ts'
import { makeStoreBase, type StoreBase } from './store.ts'
import { buildPhase, type PhaseProgram } from './phase-program.ts'

/** A rule set ready to run. Never changed: any number of requests share it. */
export type Program = {
  readonly phases: ReadonlyMap<Phase, PhaseProgram>
  /** TX as every request begins with it. */
  readonly tx: StoreBase
  readonly settings: Settings
  readonly kept: KeptCollections
  /** Whether rules open collections that outlive a request. */
  readonly remembers: boolean
}

/** Compiles loaded rules; `entries` may have been changed by exclusions. Programs can share what they keep of callers. */
export const compileRules = (
  { settings }: Pick<LoadedRules, 'settings'>,
  entries: readonly Entry[],
  kept: KeptCollections = makeKeptCollections(settings.collectionTimeoutSeconds),
): Program => {
  const folded = foldRules(entries)
  return {
    phases: new Map(phases.map((phase) => [phase, buildPhase(folded.phases.get(phase) ?? [])])),
    tx: makeStoreBase(folded.tx),
    settings,
    kept,
    remembers: entries.some(
      (entry) =>
        entry.kind === 'rule' &&
        entry.rule.links.some(({ effects }) => effects.some(({ kind }) => kind === 'initcol')),
    ),
  }
}

/** How many rules run in a phase; 0 means that it need not run. */
export const unitCount = (program: Program, phase: Phase): number =>
  program.phases.get(phase)?.units.length ?? 0
