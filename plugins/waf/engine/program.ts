import type { Entry, LoadedRules, Settings } from '../seclang/rule.ts'
import { phases, type Phase } from '../seclang/syntax.ts'
import { foldRules } from './fold.ts'
import { makeStoreBase, type StoreBase } from './store.ts'
import { buildPhase, type PhaseProgram } from './phase-program.ts'

/** A rule set ready to run. Never changed: any number of requests share it. */
export type Program = {
  readonly phases: ReadonlyMap<Phase, PhaseProgram>
  /** TX as every request begins with it. */
  readonly tx: StoreBase
  readonly settings: Settings
}

/** Compiles loaded rules; `entries` may have been changed by exclusions. */
export const compileRules = (
  { settings }: Pick<LoadedRules, 'settings'>,
  entries: readonly Entry[],
): Program => {
  const folded = foldRules(entries)
  return {
    phases: new Map(phases.map((phase) => [phase, buildPhase(folded.phases.get(phase) ?? [])])),
    tx: makeStoreBase(folded.tx),
    settings,
  }
}

/** How many rules run in a phase; 0 means that it need not run. */
export const unitCount = (program: Program, phase: Phase): number =>
  program.phases.get(phase)?.units.length ?? 0
