import type { Clock } from '#contract/clock'
import type { KeyState, KeyStore } from '../keys/key-store.ts'
import { serially } from '../serially.ts'
import { digestOfBesides, nothingBesides, type Besides } from './besides.ts'
import { numbered } from './turn-keys.ts'
import { firstKeys, type KeyMaking } from './make-keys.ts'
import { snapshotOf, type AuthoritySnapshot } from './snapshot.ts'
import {
  publicationLeftMs,
  slotsOf,
  turnKeys,
  turnWhatIsDue,
  withdrawKey,
  type KeyKind,
  type Turn,
} from './turn-keys.ts'

/** What an operator may ask for besides what the clock asks for. */
export type KeyOrder =
  | { readonly step: 'prepare'; readonly kind: KeyKind }
  /** `force` does not wait until everyone has seen the prepared key. */
  | { readonly step: 'activate'; readonly kind: KeyKind; readonly force: boolean }
  | { readonly step: 'withdraw'; readonly kind: KeyKind; readonly id: string }

export type KeyOrderOutcome =
  | { readonly done: true }
  | { readonly done: false; readonly why: string }

export type Authority = {
  readonly current: () => AuthoritySnapshot
  /** Takes the steps that are due. Rejects if they could not be saved; then nothing has changed. */
  readonly rotate: () => Promise<readonly Turn[]>
  readonly order: (order: KeyOrder) => Promise<KeyOrderOutcome>
}

export type AuthorityParts = KeyMaking & {
  readonly store: KeyStore
  readonly clock: Clock
  /** What else is published, as it is now. By default nothing. */
  readonly besides?: () => Besides
}

/**
 * The keys of the exchange at work: loaded, or made at the very first start, and turned when they are due. Every change is
 * saved before anyone sees it.
 *
 * @throws Error naming file and remedy if the store cannot be trusted or holds the keys of another trust domain.
 */
export const openAuthority = async (parts: AuthorityParts): Promise<Authority> => {
  const { store, clock, besides = () => nothingBesides } = parts
  let snapshot = snapshotOf(await loadOrMake(parts))
  /** Of what is besides the keys in `snapshot`: it is not stored. */
  let shown = digestOfBesides(nothingBesides)

  const accept = async (state: KeyState) => {
    const more = besides()
    const digest = digestOfBesides(more)
    const next =
      digest === (state.besides ?? '')
        ? state
        : numbered(state, { ...state, besides: digest }, clock())
    if (next === snapshot.keys && digest === shown) return
    if (next !== snapshot.keys) await store.save(next)
    snapshot = snapshotOf(next, more)
    shown = digest
  }
  const oneByOne = serially()

  const rotate = () =>
    oneByOne(async () => {
      const { state, turns } = await turnWhatIsDue(snapshot.keys, parts, clock())
      await accept(state)
      return turns
    })
  await rotate()

  return {
    current: () => snapshot,
    rotate,
    order: (order) =>
      oneByOne(async () => {
        const why = objectionTo(order, snapshot.keys, clock())
        if (why !== undefined) return { done: false, why }
        await accept(
          order.step === 'withdraw'
            ? withdrawKey(snapshot.keys, order.kind, order.id, clock())
            : await turnKeys(snapshot.keys, order.kind, order.step, parts, clock()),
        )
        return { done: true }
      }),
  }
}

const loadOrMake = async (parts: AuthorityParts): Promise<KeyState> => {
  const loaded = await parts.store.load()
  if (loaded === undefined) {
    const made = await firstKeys(parts, parts.clock())
    await parts.store.save(made)
    return made
  }
  if (loaded.trustDomain !== parts.trustDomain)
    throw new Error(
      `the stored keys are for trust domain ${loaded.trustDomain}, the configuration says ${parts.trustDomain}. ` +
        'Remedy: correct trustDomain, or name another directory at ca.store.',
    )
  return loaded
}

const objectionTo = (order: KeyOrder, state: KeyState, nowMs: number): string | undefined => {
  const slots = slotsOf(state, order.kind)
  if (slots === undefined) return 'there are no keys of this kind: nothing is inspected'
  const { next, retired } = slots
  switch (order.step) {
    case 'prepare':
      return next === undefined ? undefined : `key ${next.id} is prepared already`
    case 'activate': {
      if (next === undefined) return 'no key is prepared: prepare one first'
      const leftMs = publicationLeftMs(order.kind, next, nowMs)
      return leftMs <= 0 || order.force
        ? undefined
        : `key ${next.id} has not been published long enough: some would not know it. Try again in ${Math.ceil(leftMs / 1000)} s, or use force`
    }
    case 'withdraw':
      return retired.some(({ key }) => key.id === order.id)
        ? undefined
        : 'no retired key has this id: only what signs no more can be withdrawn'
    default:
      return order satisfies never
  }
}
