import type { PhaseProgram } from './phase-program.ts'
import { isRemoved } from './removals.ts'
import { newCursor, scanValues } from './scan-values.ts'
import { evaluateUnit, newProgress, type Progress } from './evaluate.ts'
import type { Interruption, State } from './state.ts'
import { compileMacro } from './read-macro.ts'
import type { Unit } from './unit.ts'

/** A phase that runs in slices, so that no request keeps all others waiting. */
export type PhaseRun = {
  /** Goes on until done or late. @returns Whether it is done; a promise if it first has to wait for that */
  readonly advance: (isLate: () => boolean) => boolean | Promise<void>
}

/** More are left to the garbage collector. */
const maxSpare = 16

/** Begins a phase: its scans first, then the rules that they did not rule out, in order. */
export const startPhase = (program: PhaseProgram, phase: number, state: State): PhaseRun => {
  const { units, required } = program
  const hits = program.spareHits.pop() ?? new Int32Array(units.length)
  const cursor = newCursor()
  let scanned = false
  let at = 0
  let progress = newProgress()
  state.phase = phase
  if (state.allowed === 'phase') state.allowed = undefined

  const work = (isLate: () => boolean): boolean => {
    if (isOver(state, phase)) return true
    if (!scanned) {
      if (!scanValues(program, state, hits, cursor, isLate)) return false
      scanned = true
    }
    while (at < units.length) {
      if (hits[at] !== required[at]) {
        at++
        continue
      }
      const unit = units[at]
      if (!unit) break
      const next = runUnit(state, unit, at, progress, isLate)
      if (next === undefined) return false
      // Only rules with work behind them are worth a look at the clock.
      const worked = required[at] !== 0
      at = next
      if (progress.link > 0 || progress.target > 0 || progress.matched) progress = newProgress()
      if (isOver(state, phase)) return true
      if (worked && isLate()) return false
    }
    return true
  }
  return {
    advance: (isLate) => {
      const done = work(isLate)
      if (done && program.spareHits.length < maxSpare) program.spareHits.push(hits.fill(0))
      const { waiting } = state
      state.waiting = undefined
      return waiting ?? done
    },
  }
}

/** Runs one rule and gives the index to go on with; undefined if it was interrupted. */
const runUnit = (
  state: State,
  unit: Unit,
  at: number,
  progress: Progress,
  isLate: () => boolean,
): number | undefined => {
  if (state.removals.length > 0 && isRemoved(state, unit)) return at + 1
  const matched = evaluateUnit(state, unit, progress, isLate)
  if (matched === undefined) return undefined
  if (!matched) return at + 1
  disrupt(state, unit)
  return unit.skipTo < 0 ? at + 1 : unit.skipTo
}

const isOver = (state: State, phase: number): boolean => {
  if (state.mode === 'Off') return true
  if (phase === 5) return false
  if (state.interruption) return true
  switch (state.allowed) {
    case 'all':
    case 'phase':
      return true
    case 'request':
      return phase <= 2
    case undefined:
      return false
    default:
      return state.allowed satisfies never
  }
}

const disrupt = (state: State, { rule }: Unit): void => {
  const { disruption } = rule
  switch (disruption.kind) {
    case 'pass':
    case 'block':
      return
    case 'allow':
      if (state.mode === 'On') state.allowed = disruption.scope
      return
    case 'deny':
    case 'drop':
      stop(state, {
        ruleId: rule.id,
        phase: rule.phase,
        action: disruption.kind,
        status: rule.status,
      })
      return
    case 'redirect':
    case 'proxy': {
      const location = compileMacro(disruption.target)(state)
      stop(state, {
        ruleId: rule.id,
        phase: rule.phase,
        action: 'redirect',
        status: rule.status,
        location,
      })
      return
    }
    default:
      disruption satisfies never
  }
}

/** In phase 5 there is nothing left to stop. */
const stop = (state: State, interruption: Interruption): void => {
  if (rulePhaseIsLast(interruption)) return
  if (state.mode === 'On') state.interruption ??= interruption
  else state.detection ??= interruption
}
const rulePhaseIsLast = ({ phase }: Interruption): boolean => phase === 5
