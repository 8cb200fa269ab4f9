import type { RandomBytes } from '#contract/clock'
import type { SpiffeId } from '#contract/spiffe-id'
import type { Soon } from '#contract/step'
import type { Log, Meter } from '#contract/telemetry'
import type { Upstream } from '#config/schema'
import type { UpstreamClient } from '#http/upstream-client'
import type { OwnSvid } from '#identity/svid/svid'
import { chooseTarget, quickRandom } from './balance.ts'
import { ejector, type RequestOutcome } from './ejection.ts'
import { healthChecks } from './health-check.ts'
import { watchNames, type ResolveName } from './resolve-names.ts'
import { retryBudget } from './retry-budget.ts'
import { stateOf, statusOf, type MakeClients, type Target, type TargetStatus } from './target.ts'
import { targetSet } from './target-set.ts'
import type { UpgradingClient } from './undici-client.ts'
import { upstreamFigures } from './upstream-figures.ts'
import { waitingLine } from './waiting-line.ts'

/** A place at an upstream for one request, until `done`. */
export type Picked = {
  /** Where the request goes, for the record. */
  readonly endpoint: string
  readonly client: UpstreamClient
  readonly upgrades: () => UpgradingClient
  /** When the own SVID ends with which its connections were made. */
  readonly svidEndsAtMs: number
  /** Says how it went and gives the place back. Only the first call does anything. */
  readonly done: (outcome: RequestOutcome) => void
  /** To be called when nothing was sent: takes another target, if there is one and retries are allowed. */
  readonly moveOn: () => boolean
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }

/** All endpoints of one service. */
export type UpstreamGroup = {
  readonly name: string
  readonly spiffeId: SpiffeId
  readonly config: Upstream
  /** Undefined when as many requests are under way and waiting as may be. Call `done` of what it gives. */
  readonly pick: () => Soon<Picked | undefined>
  readonly inFlight: () => number
  readonly queued: () => number
  /** Of each endpoint, and of each of its addresses. */
  readonly stats: () => Readonly<Record<string, TargetStatus>>
  /** Begins to look names up and to check health; resolves once the names were looked up. Only the first call does anything. */
  readonly start: () => Promise<void>
  readonly close: () => Promise<void>
}

export type GroupParts = {
  readonly ownSvid: OwnSvid
  readonly makeClients: MakeClients
  readonly resolve: ResolveName
  readonly randomBytes: RandomBytes
  /** Milliseconds of a clock that never goes back. */
  readonly uptimeMs: () => number
  readonly meter: Meter
  readonly log: Log
}

/**
 * Chooses among the endpoints of a service, leaves out those that are not well, and keeps within what the service may be
 * asked at once. When the own SVID changes, new connections are made with the new one; what is under way on the old ones
 * may finish.
 */
export const upstreamGroup = (
  name: string,
  config: Upstream,
  spiffeId: SpiffeId,
  { ownSvid, makeClients, resolve, randomBytes, uptimeMs, meter, log }: GroupParts,
): UpstreamGroup => {
  const random = quickRandom(randomBytes(4).readUInt32LE())
  const figures = upstreamFigures(meter, name)
  const targets = targetSet(config.endpoints, ownSvid, makeClients)
  const judge = ejector(config.ejection)
  const line = waitingLine(config.maxQueued, config.queueTimeoutMs)
  const budget = config.retries && retryBudget(config.retries.budgetPercent)
  let inFlight = 0
  let stopUpkeep: (() => void) | undefined

  /** Those that are well; if none is, all: whatever called them ill is wrong, or it makes no difference. */
  const usable = (without?: ReadonlySet<Target>): readonly Target[] => {
    const nowMs = uptimeMs()
    const all = targets.all()
    const isLeft = (target: Target) => without?.has(target) !== true
    const well = all.filter((target) => isLeft(target) && stateOf(target, nowMs) === 'available')
    return well.length > 0 ? well : all.filter(isLeft)
  }

  const lease = (first: Target): Picked => {
    let target = first
    let isDone = false
    let tried: Set<Target> | undefined
    const leave = (outcome: RequestOutcome) => {
      target.inFlight -= 1
      const nowMs = uptimeMs()
      if (!judge(target, outcome, targets.all(), nowMs)) return
      figures.ejected()
      const forSeconds = Math.round((target.ejectedUntilMs - nowMs) / 1000)
      log.warn({ upstream: name, endpoint: target.name, forSeconds }, 'failed too often: left out')
    }
    target.inFlight += 1
    // Its clients are those of now: after a rotation the target has others.
    const picked: Writable<Picked> = {
      endpoint: target.name,
      client: target.clients.requests,
      svidEndsAtMs: target.clients.svidEndsAtMs,
      upgrades: target.clients.upgrades,
      moveOn: () => {
        tried ??= new Set()
        tried.add(target)
        if (isDone || !config.retries || tried.size > config.retries.attempts) return false
        const other = chooseTarget(usable(tried), random)
        if (!other) return false
        if (!budget?.spend()) {
          figures.retried('no-budget')
          return false
        }
        figures.retried('sent')
        leave('failed')
        target = other
        target.inFlight += 1
        picked.endpoint = target.name
        picked.client = target.clients.requests
        picked.svidEndsAtMs = target.clients.svidEndsAtMs
        picked.upgrades = target.clients.upgrades
        return true
      },
      done: (outcome) => {
        if (isDone) return
        isDone = true
        leave(outcome)
        if (!line.next()) inFlight -= 1 // else the place goes on to the next
      },
    }
    return picked
  }
  const choose = (): Picked | undefined => {
    const all = targets.all()
    const target = all.length === 1 ? all[0] : chooseTarget(usable(), random)
    return target && lease(target)
  }

  const showStates = () => {
    const nowMs = uptimeMs()
    figures.states(targets.all().map((target) => stateOf(target, nowMs)))
  }
  const begin = async () => {
    const names = watchNames(
      targets.endpoints,
      config.resolveSeconds,
      resolve,
      (endpoint, addresses) => {
        targets.place(endpoint, addresses)
        log.info({ upstream: name, endpoint, addresses }, 'addresses of an endpoint')
      },
      (endpoint, cause) =>
        log.warn({ upstream: name, endpoint, err: cause }, 'cannot be looked up: nothing changes'),
    )
    const stopChecks =
      config.healthCheck &&
      healthChecks(
        { ...config.healthCheck, host: config.host },
        targets.all,
        random,
        (target, isWell, hasChanged) => {
          figures.checked(isWell ? 'ok' : 'failed')
          if (hasChanged)
            log.warn({ upstream: name, endpoint: target.name, isWell }, 'its health has changed')
        },
      )
    showStates()
    const timer = setInterval(showStates, showEveryMs).unref()
    stopUpkeep = () => {
      names.stop()
      stopChecks?.()
      clearInterval(timer)
    }
    await names.asked()
  }
  let started: Promise<void> | undefined

  return {
    name,
    spiffeId,
    config,
    pick: () => {
      budget?.earn()
      if (inFlight < config.maxInFlight) {
        inFlight += 1
        return choose()
      }
      if (config.maxQueued === 0) return undefined
      return line.wait().then((isTurn) => (isTurn ? choose() : undefined))
    },
    inFlight: () => inFlight,
    queued: line.length,
    stats: () => {
      const nowMs = uptimeMs()
      return Object.fromEntries(
        targets.all().map((target) => [target.name, statusOf(target, nowMs)]),
      )
    },
    start: () => (started ??= begin()),
    close: async () => {
      stopUpkeep?.()
      await targets.close()
    },
  }
}

const showEveryMs = 5000
