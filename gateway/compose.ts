import type { Problem, Result } from '#contract/problem'
import type { Guard, Soon, Step } from '#contract/step'

/** What became of a request: all its facts, or where and why it stopped and what was known by then. */
export type Outcome<From, Known> =
  | { readonly ok: true; readonly request: Known }
  | {
      readonly ok: false
      readonly at: string
      readonly problem: Problem
      readonly request: From & Partial<Known>
    }

/** Told each step's name and the time it took. Must not throw. */
export type Watch = (step: string, elapsedMs: number) => void

/** An ordered list of steps; each sees what was received and the facts learned above it. */
export type Way<From, Known> = {
  readonly names: readonly string[]
  /** Appends a step; what it learns is known below as `request[name]`. */
  readonly learn: <const Name extends string, Fact>(
    name: Unused<Name, Known>,
    step: Step<Known, Fact>,
  ) => Way<From, Flat<Known & { readonly [N in Name]: Fact }>>
  /** Appends a step that learns nothing. */
  readonly guard: (name: string, guard: Guard<Known>) => Way<From, Known>
  /** Runs the steps in order until one refuses; answers at once if every step does. Neither throws nor rejects. */
  readonly run: (request: From, watch?: Watch) => Soon<Outcome<From, Known>>
}

/** All that is known at the end of a way. */
export type KnownOf<W> = W extends Way<infer _From, infer Known> ? Known : never

type Unused<Name extends string, Known> = Name extends keyof Known
  ? `${Name} is known already`
  : Name
type Flat<T> = { readonly [K in keyof T]: T[K] }
type Facts = Record<string, unknown>
type Entry = { readonly name: string; readonly step: (request: never) => Soon<Result<unknown>> }

/** An empty way, for requests of which `From` is known from the start. */
export const begin = <From extends object>(): Way<From, From> => wayOf<From, From>([])

const wayOf = <From extends object, Known extends From>(
  entries: readonly Entry[],
): Way<From, Known> => {
  const names = Object.freeze(entries.map((entry) => entry.name))
  if (new Set(names).size < names.length)
    throw new TypeError(`two steps have one name: ${names.join(', ')}`)
  const append = (name: string, step: Entry['step']) => wayOf([...entries, { name, step }])

  const stop = (facts: Facts, at: number, problem: Problem): Outcome<From, Known> => ({
    ok: false,
    at: names[at] as string,
    problem,
    request: facts as unknown as From & Partial<Known>,
  })
  /** A bug of ours is a 500 and a stack in the log, never a pass. */
  const broke = (facts: Facts, at: number, cause: unknown) =>
    stop(facts, at, { tag: 'internal', cause })

  /** No promise is made unless a step waits: most requests go all the way in one turn. */
  const goOn = (
    facts: Facts,
    from: number,
    watch: Watch | undefined,
    sinceMs: number,
  ): Soon<Outcome<From, Known>> => {
    let at = from
    let lastMs = sinceMs
    try {
      for (; at < entries.length; at++) {
        const { name, step } = entries[at] as Entry
        const result = step(facts as never)
        if (result instanceof Promise) return wait(facts, at, watch, lastMs, result)
        if (watch) lastMs = tell(watch, at, lastMs)
        if (!result.ok) return stop(facts, at, result.problem)
        if (result.value !== undefined) facts[name] = result.value
      }
    } catch (cause) {
      if (watch) tell(watch, at, lastMs)
      return broke(facts, at, cause)
    }
    return { ok: true, request: facts as unknown as Known }
  }

  const wait = async (
    facts: Facts,
    at: number,
    watch: Watch | undefined,
    sinceMs: number,
    soon: Promise<Result<unknown>>,
  ): Promise<Outcome<From, Known>> => {
    let lastMs = sinceMs
    try {
      const result = await soon
      if (watch) lastMs = tell(watch, at, lastMs)
      if (!result.ok) return stop(facts, at, result.problem)
      if (result.value !== undefined) facts[names[at] as string] = result.value
    } catch (cause) {
      if (watch) tell(watch, at, lastMs)
      return broke(facts, at, cause)
    }
    return goOn(facts, at + 1, watch, lastMs)
  }

  /** @returns The time by which it was told. */
  const tell = (watch: Watch, at: number, sinceMs: number): number => {
    const nowMs = performance.now()
    watch(names[at] as string, nowMs - sinceMs)
    return nowMs
  }

  /** Steps see it read-only; only this loop adds to it. */
  const run = (request: From, watch?: Watch): Soon<Outcome<From, Known>> =>
    goOn(request as Facts, 0, watch, watch ? performance.now() : 0)

  return {
    names,
    // Their types are what the caller sees; in here all steps are alike.
    learn: append as never,
    guard: append as never,
    run,
  }
}
