import { shelf, type Hand } from './shelf.ts'

/** All that one configuration became. Immutable; a request keeps the one that it began with. */
export type Runtime<Config, Parts> = {
  readonly config: Config
  readonly revision: number
  readonly parts: Parts
}

/** Another configuration, built and not yet in use. */
export type Prepared<Config, Parts> = {
  readonly commit: () => Runtime<Config, Parts>
  readonly abandon: () => void
}

export type Runtimes<Config, Parts> = {
  /** Builds only. One at a time. When building throws, what ran before goes on. */
  readonly prepare: (config: Config) => Promise<Prepared<Config, Parts>>
  /** Builds and swaps. When building throws, what ran before goes on. */
  readonly load: (config: Config) => Promise<Runtime<Config, Parts>>
  readonly current: () => Runtime<Config, Parts>
  /** The runtime for one request, and how to say that the request is over. */
  readonly enter: () => readonly [Runtime<Config, Parts>, () => void]
  /** Lets go of everything. */
  readonly close: () => void
}

/** Swaps whole configurations: what cannot be built never replaces what runs, and nobody is cut off by a reload. */
export const runtimes = <Config, Parts>(
  build: (config: Config, hand: Hand, revision: number) => Promise<Parts>,
): Runtimes<Config, Parts> => {
  type Held = {
    readonly runtime: Runtime<Config, Parts>
    readonly release: () => void
    inFlight: number
    retired: boolean
  }
  const kept = shelf()
  let held: Held | undefined
  let revisions = 0

  const retire = (old: Held) => {
    old.retired = true
    if (old.inFlight === 0) old.release()
  }
  const here = () => {
    if (!held) throw new Error('nothing is loaded yet')
    return held
  }

  const prepare = async (config: Config): Promise<Prepared<Config, Parts>> => {
    const hand = kept.hand()
    const revision = revisions + 1
    let parts: Parts
    try {
      parts = await build(config, hand, revision)
    } catch (cause) {
      hand.release() // closes what only the failed attempt made
      throw cause
    }
    return {
      commit: () => {
        revisions = revision
        const previous = held
        held = {
          runtime: { config, revision, parts },
          release: hand.release,
          inFlight: 0,
          retired: false,
        }
        if (previous) retire(previous)
        return held.runtime
      },
      abandon: hand.release,
    }
  }

  return {
    prepare,
    load: async (config) => (await prepare(config)).commit(),
    current: () => here().runtime,
    enter: () => {
      const mine = here()
      mine.inFlight += 1
      const leave = () => {
        mine.inFlight -= 1
        if (mine.inFlight === 0 && mine.retired) mine.release()
      }
      return [mine.runtime, leave]
    },
    close: () => {
      if (held) retire(held)
      held = undefined
    },
  }
}
