import { isoTime } from '#contract/clock'
import type { AuthoritySnapshot } from '../ca/snapshot.ts'
import type { Lived, Slots } from '../ca/slots.ts'

/** What operators see of the keys: ids and times, nothing that is secret. */
export const keyStatus = ({ keys }: AuthoritySnapshot) => ({
  trustDomain: keys.trustDomain,
  spiffeSequence: keys.sequence,
  root: slotsStatus(keys.roots),
  intermediate: slotsStatus(keys.intermediates),
  jwt: slotsStatus(keys.jwtKeys),
  ...(keys.inspectionCas ? { inspection: slotsStatus(keys.inspectionCas) } : {}),
})

const slotsStatus = <Key extends Lived>({ active, next, retired }: Slots<Key>) => ({
  active: keyOf(active),
  next: next === undefined ? null : keyOf(next),
  retired: retired.map(({ key, retiredAtMs, publishedUntilMs }) => ({
    ...keyOf(key),
    retiredAt: isoTime(retiredAtMs),
    publishedUntil: isoTime(publishedUntilMs),
  })),
})

const keyOf = ({ id, createdAtMs, notAfterMs }: Lived) => ({
  id,
  createdAt: isoTime(createdAtMs),
  notAfter: isoTime(notAfterMs),
})
