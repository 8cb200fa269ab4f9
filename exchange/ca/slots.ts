/** Anything of ours that signs for a while and is then replaced. Times in milliseconds since 1970. */
export type Lived = {
  readonly id: string
  readonly createdAtMs: number
  readonly notAfterMs: number
}

/** A key that signs no more; its private half is gone. It stays published for what it signed. */
export type Retired<Key extends Lived> = {
  readonly key: Omit<Key, 'privateKey'>
  readonly retiredAtMs: number
  /** When the last thing that it signed has expired. */
  readonly publishedUntilMs: number
}

/**
 * prepared → active → retired. `next` is published already and signs nothing yet, so whoever checks a signature has its
 * key before the first signature by it arrives.
 */
export type Slots<Key extends Lived> = {
  readonly active: Key
  readonly next: Key | undefined
  readonly retired: readonly Retired<Key>[]
}

export const firstSlots = <Key extends Lived>(active: Key): Slots<Key> => ({
  active,
  next: undefined,
  retired: [],
})

export const prepared = <Key extends Lived>(slots: Slots<Key>, next: Key): Slots<Key> => ({
  ...slots,
  next,
})

/** Puts `key` in the place of the active one, which is retired without its private half. */
export const activated = <Key extends Lived & { readonly privateKey: unknown }>(
  slots: Slots<Key>,
  key: Key,
  nowMs: number,
  publishedUntilMs: number,
): Slots<Key> => {
  const { privateKey: _gone, ...rest } = slots.active
  return {
    active: key,
    next: undefined,
    retired: [...slots.retired, { key: rest, retiredAtMs: nowMs, publishedUntilMs }],
  }
}

/** Retires the next one, which has never been active and may have signed all the same. */
export const withoutNext = <Key extends Lived & { readonly privateKey: unknown }>(
  slots: Slots<Key>,
  nowMs: number,
  publishedUntilMs: number,
): Slots<Key> => {
  if (slots.next === undefined) return slots
  const { privateKey: _gone, ...key } = slots.next
  return {
    ...slots,
    next: undefined,
    retired: [...slots.retired, { key, retiredAtMs: nowMs, publishedUntilMs }],
  }
}

export const pruned = <Key extends Lived>(slots: Slots<Key>, nowMs: number): Slots<Key> => ({
  ...slots,
  retired: slots.retired.filter(({ publishedUntilMs }) => publishedUntilMs > nowMs),
})

/** Takes a retired key out at once: whatever it signed is worthless from now on. */
export const withdrawn = <Key extends Lived>(slots: Slots<Key>, id: string): Slots<Key> => ({
  ...slots,
  retired: slots.retired.filter(({ key }) => key.id !== id),
})

/** Active, next and retired: all that is published. */
export const everyKey = <Key extends Lived>({
  active,
  next,
  retired,
}: Slots<Key>): Omit<Key, 'privateKey'>[] => [
  active,
  ...(next === undefined ? [] : [next]),
  ...retired.map(({ key }) => key),
]
