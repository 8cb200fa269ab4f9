import type { Clock, RandomBytes, Sleep } from '#contract/clock'
import type { SpiffeId } from '#contract/spiffe-id'
import type { Log, Meter } from '#contract/telemetry'
import { bad, good, type Outcome } from '../outcome.ts'
import { readX509Svids } from '../workload-api/messages.ts'
import { followAgent } from '../workload-api/stream.ts'
import { checkSvid } from './check-svid.ts'
import { listeners } from './listeners.ts'
import { isSameSvid, type OwnSvid, type Svid } from './svid.ts'

export type OwnSvidFromAgentOptions = {
  /** `unix:///PATH` of the agent. */
  readonly socket: string
  /** Who we are: of several identities that the agent has for us this one is taken, and no other ever. */
  readonly spiffeId: SpiffeId
  readonly clock: Clock
  readonly sleep: Sleep
  readonly randomBytes: RandomBytes
  readonly meter: Meter
  readonly log: Log
}

/**
 * The own X.509-SVID from the Workload API of a SPIRE agent, or of another that speaks it. The agent sends a new one when
 * it has one, well before the last ends, and when roots change. One that is not acceptable never replaces a good one; while
 * the agent is away the last good one is used on, to the end of its life.
 *
 * @param signal Ends the waiting for the first SVID.
 * @returns Resolves with the first SVID, however long the agent takes to have one; what it is waited for is logged. Rejects
 *   if `signal` aborts.
 * @see SPIFFE Workload API §5.2
 */
export const ownSvidFromAgent = async (
  options: OwnSvidFromAgentOptions,
  signal?: AbortSignal,
): Promise<OwnSvid> => {
  const { socket, spiffeId, clock, log, meter } = options
  const showEnd = meter.gauge('sallyport_certificate_not_after_timestamp_seconds', { role: 'svid' })
  const showConnected = meter.gauge('sallyport_workload_api_connected', {})
  const changed = listeners<Svid>()
  const first = Promise.withResolvers<Svid>()
  let current: Svid | undefined
  let lastFault = 'it has not answered yet'
  showConnected(0)

  const take = (message: Buffer): Outcome<void> => {
    const chosen = choose(message, spiffeId, clock())
    if (!chosen.ok) return chosen
    showConnected(1)
    const svid = chosen.value
    if (current !== undefined && isSameSvid(svid, current)) return good(undefined)
    const before = current
    current = svid
    showEnd(svid.notAfterMs / 1000)
    log.info({ spiffeId, socket, expiresInMs: svid.notAfterMs - clock() }, 'the own SVID is here')
    if (before === undefined) first.resolve(svid)
    else changed.tell(svid)
    return good(undefined)
  }

  const stop = followAgent({
    ...options,
    method: 'FetchX509SVID',
    take,
    fault: (fault) => {
      lastFault = fault
      showConnected(0)
      if (current === undefined) log.warn({ spiffeId, fault }, 'no first SVID from the agent yet')
      else {
        const expiresInMs = current.notAfterMs - clock()
        if (expiresInMs > 0)
          log.warn({ fault, expiresInMs }, 'no new SVID from the agent, the last one is used on')
        else log.error({ fault }, 'the own SVID has ended, and the agent gives no other')
      }
    },
  })

  // `sleep` keeps no process alive, and there may be nothing else yet that does.
  const alive = setInterval(() => {}, 60_000)
  const abort = () => first.reject(new Error(`no SVID from the agent: ${lastFault}`))
  signal?.addEventListener('abort', abort, { once: true })
  if (signal?.aborted) abort()
  try {
    await first.promise
  } catch (cause) {
    stop()
    throw cause
  } finally {
    clearInterval(alive)
    signal?.removeEventListener('abort', abort)
  }
  return {
    current: () => {
      if (current === undefined) throw new Error('it has resolved without an SVID')
      return current
    },
    onChange: changed.add,
    close: stop,
  }
}

/** The identity that is ours among those of a message. */
const choose = (message: Buffer, spiffeId: SpiffeId, nowMs: number): Outcome<Svid> => {
  const svids = readX509Svids(message)
  if (!svids.ok) return bad(`the answer of the agent: ${svids.fault}`)
  const ours = svids.value.find((svid) => svid.spiffeId === spiffeId)
  if (ours === undefined) {
    const others = svids.value.slice(0, 5).map((svid) => svid.spiffeId.slice(0, 200))
    return bad(`the agent says that we are ${others.join(', ')}, not ${spiffeId}`)
  }
  const svid = checkSvid(ours, nowMs)
  if (!svid.ok) return bad(`the SVID of the agent: ${svid.fault}`)
  return svid.value.spiffeId === spiffeId
    ? svid
    : bad(`the certificate of the agent is that of ${svid.value.spiffeId}, not of ${spiffeId}`)
}
