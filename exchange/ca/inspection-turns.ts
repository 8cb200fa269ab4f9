import type { RandomBytes } from '#contract/clock'
import type { InspectionCa } from '../keys/key-store.ts'
import { makeInspectionCa } from './inspection-ca.ts'
import type { InspectionKeyMaking } from './make-keys.ts'
import { isPermitted } from './name-constraints.ts'
import { dueSteps, type RotationStep } from './rotate.ts'
import { activated, firstSlots, prepared, pruned, withoutNext, type Slots } from './slots.ts'

/**
 * What is due for the CA of inspected hosts: like for other keys, and another one is prepared when neither the active one
 * nor the next may sign for a host that the configuration names now.
 */
export const inspectionStep = (
  slots: Slots<InspectionCa> | undefined,
  { hosts }: InspectionKeyMaking,
  publishMs: number,
  nowMs: number,
): RotationStep | undefined => {
  if (slots === undefined || hosts.some((host) => !inspectionIssuer(slots, host))) return 'prepare'
  return dueSteps(slots, publishMs, nowMs)[0]
}

/**
 * Which CA signs for a host, or for a pattern of hosts: the active one, whom all trust by now, if it may; else the next,
 * whom those have to know already who want to go to hosts that are new.
 */
export const inspectionIssuer = (
  { active, next }: Slots<InspectionCa>,
  host: string,
): InspectionCa | undefined =>
  [active, ...(next ? [next] : [])].find(({ permitted }) => isPermitted(permitted, host))

export const turnInspection = async (
  slots: Slots<InspectionCa> | undefined,
  step: RotationStep,
  { hosts, caMs, randomBytes }: InspectionKeyMaking & { readonly randomBytes: RandomBytes },
  publishedUntilMs: number,
  nowMs: number,
): Promise<Slots<InspectionCa>> => {
  const make = () => makeInspectionCa({ hosts, lifetimeMs: caMs, nowMs, randomBytes })
  if (slots === undefined) return firstSlots(await make())
  switch (step) {
    case 'prepare': // a next one may have signed already
      return prepared(withoutNext(slots, nowMs, publishedUntilMs), await make())
    case 'activate':
      if (slots.next === undefined) throw new TypeError('no key was prepared')
      return activated(slots, slots.next, nowMs, publishedUntilMs)
    case 'prune':
      return pruned(slots, nowMs)
    default:
      return step satisfies never
  }
}
