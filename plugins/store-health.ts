import type { Log } from '#contract/telemetry'

const probeEveryMs = 1000

/** Whether a shared store is worth asking. */
export type StoreHealth = {
  readonly mayAsk: () => boolean
  readonly answered: () => void
  readonly failed: (cause: unknown) => void
}

/** What is logged when a store goes away and when it is back. */
export type StoreMessages = { readonly away: string; readonly back: string }

/**
 * Begins by asking. After a failure only one question a second goes to the store, so that a store that hangs does not
 * hold up every request for the whole timeout; the first answer ends that. Each change is logged once.
 *
 * @param nowMs A clock that never goes back.
 */
export const storeHealth = (
  messages: StoreMessages,
  log: Log,
  nowMs = () => performance.now(),
): StoreHealth => {
  let isWell = true
  let nextProbeMs = 0
  return {
    mayAsk: () => {
      if (isWell) return true
      if (nowMs() < nextProbeMs) return false
      nextProbeMs = nowMs() + probeEveryMs
      return true
    },
    answered: () => {
      if (isWell) return
      isWell = true
      log.info({ store: 'redis' }, messages.back)
    },
    failed: (cause) => {
      nextProbeMs = nowMs() + probeEveryMs
      if (!isWell) return
      isWell = false
      // The message alone: the error of a command holds its arguments, and with them whom it is about.
      const reason = cause instanceof Error ? cause.message : String(cause)
      log.warn({ store: 'redis', reason }, messages.away)
    },
  }
}
