import type { RandomBytes, Sleep } from '#contract/clock'
import type { TrustDomain } from '#contract/spiffe-id'
import type { Log } from '#contract/telemetry'
import { bad, good, type Outcome } from '../outcome.ts'
import { bundleOfParts, type Bundle } from '../svid/bundle.ts'
import type { TrustBundle } from '../svid/follow-bundle.ts'
import { listeners } from '../svid/listeners.ts'
import { readJwtBundles, readX509Bundles } from '../workload-api/messages.ts'
import { followAgent } from '../workload-api/stream.ts'

export type AgentBundleOptions = {
  /** `unix:///PATH` */
  readonly socket: string
  readonly trustDomain: TrustDomain
  /** Told how each message went, and of the stream's ends. */
  readonly fetched: (result: 'ok' | 'failed' | 'refused') => void
  readonly sleep: Sleep
  readonly randomBytes: RandomBytes
  readonly log: Log
}

/** `begun` resolves with the first bundle. */
export type AgentBundle = Pick<TrustBundle, 'current' | 'onChange' | 'close'> & {
  readonly begun: Promise<void>
}

/**
 * The bundle of one trust domain from an agent, roots and keys of JWT-SVIDs by a stream each. It has no number, for who gives
 * it is trusted with our own identity, too. What is not acceptable, or has nothing of that domain, never replaces a good one.
 *
 * @see SPIFFE Workload API §5.2.2 and §6.2.2
 */
export const agentBundle = (options: AgentBundleOptions): AgentBundle => {
  const { trustDomain, fetched, log } = options
  const changed = listeners<Bundle>()
  const first = Promise.withResolvers<void>()
  let current: Bundle | undefined
  let roots: string | undefined
  let jwks: Buffer | undefined
  let queue: Promise<unknown> = Promise.resolve()

  const use = async (nextRoots = roots, nextJwks = jwks): Promise<Outcome<void>> => {
    if (nextRoots === undefined) {
      jwks = nextJwks
      return good(undefined)
    }
    const bundle = await bundleOfParts(trustDomain, nextRoots, nextJwks)
    if (!bundle.ok) return refused(bundle.fault)
    roots = nextRoots
    jwks = nextJwks
    current = bundle.value
    fetched('ok')
    log.info({ trustDomain, ignored: current.ignored }, 'the agent has given the trust bundle')
    first.resolve()
    changed.tell(current)
    return good(undefined)
  }
  const refused = (fault: string) => {
    fetched('refused')
    return bad(fault)
  }
  /** Of both streams one after the other: each is a part of the same bundle. */
  const inTurn = (work: () => Promise<Outcome<void>>): Promise<Outcome<void>> => {
    const done = queue.then(work)
    queue = done
    return done
  }
  const none = `the agent has no bundle of ${trustDomain}: our entry there has to federate with it`
  const fault = (what: string) => {
    fetched('failed')
    log.warn({ trustDomain, fault: what }, 'no new trust bundle from the agent')
  }

  const stops = [
    followAgent({
      ...options,
      method: 'FetchX509Bundles',
      take: (message) =>
        inTurn(async () => {
          const all = readX509Bundles(message)
          if (!all.ok) return refused(all.fault)
          const own = all.value.get(trustDomain)
          return own === undefined ? refused(none) : use(own)
        }),
      fault,
    }),
    followAgent({
      ...options,
      method: 'FetchJWTBundles',
      take: (message) =>
        inTurn(async () => {
          const all = readJwtBundles(message)
          if (!all.ok) return refused(all.fault)
          const own = all.value.get(trustDomain)
          return own === undefined ? refused(none) : use(undefined, own)
        }),
      fault,
    }),
  ]
  return {
    current: () => current,
    onChange: changed.add,
    begun: first.promise,
    close: () => {
      for (const stop of stops) stop()
    },
  }
}
