import type { EgressDecision } from '#contract/egress'
import type { Clock } from '#contract/clock'
import { pass, refuse, type Problem, type Result } from '#contract/problem'
import type { Quota } from '#contract/quota'
import type { Step } from '#contract/step'
import type { Egress } from '#config/schema'
import type { LimitKey } from '../ingress/compiled-route.ts'
import type { Door } from '../answer.ts'
import type { Account, Accounts, Moved } from './accounts.ts'
import type { Workload } from './identify.ts'
import type { Ask } from './read-ask.ts'

type Needs = { readonly workload: Workload; readonly decision: EgressDecision }
export type RuleLimits = Egress['rules'][number]['limits']

/** How often a workload goes out, by the limit of its rule. Refuses with `rate-exceeded`. */
export const limitRequests =
  (limits: ReadonlyMap<string, Step<LimitKey, Quota>>): Step<Needs, Quota | undefined> =>
  ({ workload, decision: { rule } }) => {
    const limit = limits.get(rule)
    if (!limit) return pass(undefined)
    const spent = limit({ key: workload.spiffeId })
    return spent instanceof Promise
      ? spent.then((result) => namingRule(rule, result))
      : namingRule(rule, spent)
  }

const namingRule = (rule: string, spent: Result<Quota>): Result<Quota> =>
  spent.ok
    ? spent
    : refuse(spent.problem.tag, {
        detail: `Rule \`${rule}\` does not let a workload go out so often.`,
        ...spent.problem,
      })

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
    const account = accounts.of(workload.spiffeId, nowMs)
    const tooMany = bytesExceeded(decision.rule, limit, account, 1)
    if (tooMany) return { ok: false, problem: tooMany }
    if (ask.kind !== 'tunnel' && door !== 'upgrade') return pass(free)
    if (account.tunnels >= limit.maxTunnels)
      return refuse('tunnels-exceeded', {
        detail: `Rule \`${decision.rule}\` lets a workload have ${limit.maxTunnels} tunnels open.`,
        headers: { 'Retry-After': '1' },
      })
    return pass({ release: accounts.opened(workload.spiffeId) })
  }

/** Accounts bytes that were moved; says so if they were too many. */
export type Spend = (bytes: Moved) => Problem | undefined

/** Accounts what a request moves, either way, as it moves; what goes beyond its day ends it. Tunnels are looked at once a second. */
export const spendBytes =
  (
    limits: ReadonlyMap<string, RuleLimits>,
    accounts: Accounts,
    clock: Clock,
    { workload, decision }: Needs,
  ): Spend =>
  (bytes) => {
    const nowMs = clock()
    accounts.moved(workload.spiffeId, bytes, nowMs)
    const limit = limits.get(decision.rule)
    return limit && bytesExceeded(decision.rule, limit, accounts.of(workload.spiffeId, nowMs), 0)
  }

/**
 * Whether a workload has moved more than its rule lets it in a day.
 *
 * @param more Bytes that it is about to move besides.
 */
export const bytesExceeded = (
  rule: string,
  { maxBytesPerDay: max = Infinity, maxBytesOutPerDay, maxBytesInPerDay }: RuleLimits,
  { bytesOutToday, bytesInToday }: Account,
  more: number,
): Problem | undefined => {
  const [maxOut, maxIn] = [maxBytesOutPerDay ?? Infinity, maxBytesInPerDay ?? Infinity]
  const words =
    bytesOutToday + more > maxOut
      ? `send ${maxOut} bytes`
      : bytesInToday + more > maxIn
        ? `receive ${maxIn} bytes`
        : bytesOutToday + bytesInToday + more > max
          ? `move ${max} bytes`
          : undefined
  return words === undefined
    ? undefined
    : {
        tag: 'bytes-exceeded',
        detail: `Rule \`${rule}\` lets a workload ${words} a day (UTC).`,
      }
}
