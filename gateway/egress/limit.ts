import type { EgressDecision } from '#contract/egress'
import type { Clock } from '#contract/clock'
import { pass, refuse, type Problem } from '#contract/problem'
import type { Quota } from '#contract/quota'
import type { Step } from '#contract/step'
import type { Egress } from '#config/schema'
import type { LimitKey } from '../ingress/compiled-route.ts'
import type { Door } from '../answer.ts'
import type { Accounts } from './accounts.ts'
import type { Workload } from './identify.ts'
import type { Ask } from './read-ask.ts'

type Needs = { readonly workload: Workload; readonly decision: EgressDecision }
export type RuleLimits = Egress['rules'][number]['limits']

/** How often a workload goes out, by the limit of its rule. */
export const limitRequests =
  (limits: ReadonlyMap<string, Step<LimitKey, Quota>>): Step<Needs, Quota | undefined> =>
  ({ workload, decision }) =>
    limits.get(decision.rule)?.({ key: workload.spiffeId }) ?? pass(undefined)

/** One of the tunnels that a workload may have open; taken before it is dialled, so that none slips by meanwhile. */
export type Slot = { readonly release: () => void }

const free: Slot = { release: () => {} }

/**
 * How much a workload has open, and has moved today.
 *
 * @returns A step refusing with `tunnels-exceeded` or `bytes-exceeded`. What it learned must be released at the end.
 */
export const takeSlot =
  (
    limits: ReadonlyMap<string, RuleLimits>,
    accounts: Accounts,
  ): Step<Needs & { readonly ask: Ask; readonly door: Door; readonly nowMs: number }, Slot> =>
  ({ workload, decision, ask, door, nowMs }) => {
    const limit = limits.get(decision.rule)
    if (!limit) return pass(free)
    const { tunnels, bytesToday } = accounts.of(workload.spiffeId, nowMs)
    if (limit.maxBytesPerDay !== undefined && bytesToday >= limit.maxBytesPerDay)
      return { ok: false, problem: bytesExceeded(decision.rule, limit.maxBytesPerDay) }
    if (ask.kind !== 'tunnel' && door !== 'upgrade') return pass(free)
    if (tunnels >= limit.maxTunnels)
      return refuse('tunnels-exceeded', {
        detail: `Rule \`${decision.rule}\` lets a workload have ${limit.maxTunnels} tunnels open.`,
        headers: { 'Retry-After': '1' },
      })
    return pass({ release: accounts.opened(workload.spiffeId) })
  }

/** Accounts what a request moves, either way, as it moves; what goes beyond its day ends it. Tunnels are looked at once a second. */
export const spendBytes =
  (
    limits: ReadonlyMap<string, RuleLimits>,
    accounts: Accounts,
    clock: Clock,
    { workload, decision }: Needs,
  ): ((bytes: number) => Problem | undefined) =>
  (bytes) => {
    const nowMs = clock()
    accounts.moved(workload.spiffeId, bytes, nowMs)
    const max = limits.get(decision.rule)?.maxBytesPerDay
    if (max === undefined || accounts.of(workload.spiffeId, nowMs).bytesToday <= max)
      return undefined
    return bytesExceeded(decision.rule, max)
  }

const bytesExceeded = (rule: string, maxBytesPerDay: number): Problem => ({
  tag: 'bytes-exceeded',
  detail: `Rule \`${rule}\` lets a workload move ${maxBytesPerDay} bytes a day (UTC).`,
})
