import type { CertifiedKey, KeyState, SigningKey } from '../keys/key-store.ts'
import { bundleContent, nextSequence, refreshHintSeconds } from './bundle.ts'
import { inspectionStep, turnInspection } from './inspection-turns.ts'
import { newIntermediate, newJwtKey, newRoot, type KeyMaking } from './make-keys.ts'
import { dueSteps, type RotationStep } from './rotate.ts'
import { activated, prepared, pruned, withdrawn, type Slots } from './slots.ts'

export const keyKinds = ['root', 'intermediate', 'jwt', 'inspection'] as const
export type KeyKind = (typeof keyKinds)[number]

export type Turn = { readonly kind: KeyKind; readonly step: RotationStep }

/** Other clocks may be behind ours by so much: so long a retired key is still needed. */
const skewMs = 60_000
/** A new key signs only after every reader of our keys had three chances to see it. */
const publishMs = 3 * refreshHintSeconds * 1000
/** More turns than any state can need: a loop that goes on is a bug. */
const maxTurns = 20

/** Takes every step that is due, the keys that sign others first. */
export const turnWhatIsDue = async (
  state: KeyState,
  making: KeyMaking,
  nowMs: number,
): Promise<{ readonly state: KeyState; readonly turns: readonly Turn[] }> => {
  const turns: Turn[] = []
  let turned = state
  for (;;) {
    const turn = firstDue(turned, making, nowMs)
    if (turn === undefined) return { state: numbered(state, turned, nowMs), turns }
    if (turns.length === maxTurns) throw new Error('the rotation of keys does not come to an end')
    turns.push(turn)
    turned = await take(turned, turn.kind, turn.step, making, nowMs)
  }
}

/** Takes one step, due or not. Activate needs a key that was prepared. */
export const turnKeys = async (
  state: KeyState,
  kind: KeyKind,
  step: RotationStep,
  making: KeyMaking,
  nowMs: number,
): Promise<KeyState> => numbered(state, await take(state, kind, step, making, nowMs), nowMs)

/** Takes a retired key out of all that is published, before its time. */
export const withdrawKey = (
  state: KeyState,
  kind: KeyKind,
  id: string,
  nowMs: number,
): KeyState => {
  switch (kind) {
    case 'root':
      return numbered(state, { ...state, roots: withdrawn(state.roots, id) }, nowMs)
    case 'intermediate':
      return numbered(state, { ...state, intermediates: withdrawn(state.intermediates, id) }, nowMs)
    case 'jwt':
      return numbered(state, { ...state, jwtKeys: withdrawn(state.jwtKeys, id) }, nowMs)
    case 'inspection':
      return state.inspectionCas
        ? { ...state, inspectionCas: withdrawn(state.inspectionCas, id) }
        : state
    default:
      return kind satisfies never
  }
}

/** Milliseconds until a prepared key of this kind has been published long enough to sign; 0 or less when it has. */
export const publicationLeftMs = (kind: KeyKind, next: SigningKey, nowMs: number): number =>
  next.createdAtMs + publishMsOf(kind) - nowMs

/** Undefined where there are no keys of this kind. */
export const slotsOf = (state: KeyState, kind: KeyKind): Slots<SigningKey> | undefined => {
  switch (kind) {
    case 'root':
      return state.roots
    case 'intermediate':
      return state.intermediates
    case 'jwt':
      return state.jwtKeys
    case 'inspection':
      return state.inspectionCas
    default:
      return kind satisfies never
  }
}

/** An intermediate travels with each chain: nobody has to know it before. */
const publishMsOf = (kind: KeyKind) => (kind === 'intermediate' ? 0 : publishMs)

const firstDue = (state: KeyState, { inspection }: KeyMaking, nowMs: number): Turn | undefined => {
  for (const kind of keyKinds) {
    const slots = slotsOf(state, kind)
    const step =
      kind === 'inspection'
        ? inspection && inspectionStep(state.inspectionCas, inspection, publishMs, nowMs)
        : slots && dueSteps(slots, publishMsOf(kind), nowMs)[0]
    if (step !== undefined) return { kind, step }
  }
  return undefined
}

const take = async (
  state: KeyState,
  kind: KeyKind,
  step: RotationStep,
  making: KeyMaking,
  nowMs: number,
): Promise<KeyState> => {
  const certificatesEndMs = nowMs + making.lifetimes.longestX509SvidMs + skewMs
  const tokensEndMs = nowMs + making.lifetimes.longestTokenMs + skewMs
  switch (kind) {
    case 'root': {
      const make = () => newRoot(making, nowMs)
      const roots = await takeInSlots(state.roots, step, make, certificatesEndMs, nowMs)
      return step === 'activate'
        ? underNewRoot({ ...state, roots }, making, nowMs, certificatesEndMs)
        : { ...state, roots }
    }
    case 'intermediate': {
      const make = () => newIntermediate(state.roots.active, making, nowMs)
      const { intermediates } = state
      return {
        ...state,
        intermediates: await takeInSlots(intermediates, step, make, certificatesEndMs, nowMs),
      }
    }
    case 'jwt': {
      const make = () => newJwtKey(making, nowMs)
      return {
        ...state,
        jwtKeys: await takeInSlots(state.jwtKeys, step, make, tokensEndMs, nowMs),
      }
    }
    case 'inspection': {
      if (!making.inspection) throw new TypeError('nothing is inspected, so it has no CA')
      const publishedUntilMs = nowMs + making.inspection.leafMs + skewMs
      const { inspection, randomBytes } = making
      return {
        ...state,
        inspectionCas: await turnInspection(
          state.inspectionCas,
          step,
          { ...inspection, randomBytes },
          publishedUntilMs,
          nowMs,
        ),
      }
    }
    default:
      return kind satisfies never
  }
}

const takeInSlots = async <Key extends SigningKey>(
  slots: Slots<Key>,
  step: RotationStep,
  make: () => Promise<Key>,
  publishedUntilMs: number,
  nowMs: number,
): Promise<Slots<Key>> => {
  switch (step) {
    case 'prepare':
      return prepared(slots, await make())
    case 'activate':
      if (slots.next === undefined) throw new TypeError('no key was prepared')
      return activated(slots, slots.next, nowMs, publishedUntilMs)
    case 'prune':
      return pruned(slots, nowMs)
    default:
      return step satisfies never
  }
}

/** With a new root comes a new intermediate at once, or the old root would go on being needed. */
const underNewRoot = async (
  state: KeyState,
  making: KeyMaking,
  nowMs: number,
  publishedUntilMs: number,
): Promise<KeyState> => {
  const made = await newIntermediate(state.roots.active, making, nowMs)
  return {
    ...state,
    intermediates: activated<CertifiedKey>(state.intermediates, made, nowMs, publishedUntilMs),
  }
}

/** Raises the number of the bundle if what it says has changed. */
export const numbered = (before: KeyState, after: KeyState, nowMs: number): KeyState =>
  bundleContent(before) === bundleContent(after)
    ? after
    : { ...after, sequence: nextSequence(before.sequence, nowMs) }
