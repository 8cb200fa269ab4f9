import { admitted, pass, refuse, type Result } from '#contract/problem'
import {
  quarantineKinds,
  type Quarantine,
  type QuarantineEntry,
  type QuarantineJudge,
  type QuarantineKind,
  type QuarantineOutcome,
  type QuarantineSelector,
} from '#contract/quarantine'
import type { Clock, RandomBytes } from '#contract/clock'
import type { LabelsOf, Meter } from '#contract/telemetry'
import { entryOfOrder } from './entry.ts'
import type { Held } from './entry-index.ts'
import type { Changed, QuarantineList } from './list.ts'

type When = LabelsOf<'sallyport_quarantined_requests_total'>['when']

export type QuarantineParts = {
  readonly list: QuarantineList
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly meter: Meter
}

/** So many of the entries that still cut off what was lifted are told of. */
const maxTold = 10

/** Refuses whom the list cuts off, and takes orders about it. Whoever is refused learns no more than that. */
export const quarantine = ({ list, clock, randomBytes, meter }: QuarantineParts): Quarantine => {
  const judge = (when: When): QuarantineJudge => {
    const count = countersOf(meter, when)
    const verdict = (held: Held | undefined): Result<void> => {
      if (held === undefined)
        return list.isKnown() || when === 'open'
          ? admitted
          : refuse('quarantine-unavailable', { headers: { 'Retry-After': '1' } })
      held.hits += 1
      count[held.entry.by.kind]()
      return refuse('quarantined', { cause: held.entry })
    }
    return {
      where: (from, nowMs) => verdict(list.index.findWhere(from, nowMs)),
      who: (caller, nowMs) => verdict(list.index.findWho(caller, nowMs)),
    }
  }

  return {
    arriving: judge('arriving'),
    open: judge('open'),
    isKnown: list.isKnown,
    add: async (order) => {
      const entry = entryOfOrder(order, { clock, randomBytes })
      if (!entry.ok) return entry
      const added = await list.add(entry.value)
      return added.ok ? pass(outcomeOf(added.value)) : added
    },
    lift: async (id) => {
      const lifted = await list.lift(id)
      if (!lifted.ok) return lifted
      const { held, warnings } = lifted.value
      const others = othersFor(held.entry, list, clock())
      return pass(outcomeOf({ held, warnings: others === '' ? warnings : [...warnings, others] }))
    },
    list: (nowMs, max) => {
      const inForce = Array.from(list.index.all()).filter(({ expiresAtMs }) => expiresAtMs > nowMs)
      return {
        entries: inForce.slice(0, max).map(({ entry, hits }) => ({ entry, hits })),
        moreEntries: Math.max(0, inForce.length - max),
      }
    },
    onAdded: list.onAdded,
    status: list.status,
    close: list.close,
  }
}

const outcomeOf = ({ held: { entry, hits }, warnings }: Changed): QuarantineOutcome => ({
  entry,
  hits,
  warnings,
})

const countersOf = (meter: Meter, when: When) =>
  Object.fromEntries(
    quarantineKinds.map((kind) => [
      kind,
      meter.counter('sallyport_quarantined_requests_total', { kind, when }),
    ]),
  ) as Record<QuarantineKind, () => void>

/** Whoever lifts an entry expects that to be the end of it. */
const othersFor = ({ by }: QuarantineEntry, { index }: QuarantineList, nowMs: number): string => {
  const ids: string[] = []
  for (const { entry, expiresAtMs } of index.all())
    if (expiresAtMs > nowMs && isSame(entry.by, by)) ids.push(entry.id)
  if (ids.length === 0) return ''
  const more = ids.length > maxTold ? ` and ${ids.length - maxTold} more` : ''
  return `The same is still cut off by ${ids.slice(0, maxTold).join(', ')}${more}.`
}

const isSame = (one: QuarantineSelector, other: QuarantineSelector): boolean => {
  const fields = Object.entries(other)
  return (
    one.kind === other.kind &&
    Object.keys(one).length === fields.length &&
    fields.every(([name, value]) => (one as Readonly<Record<string, string>>)[name] === value)
  )
}
