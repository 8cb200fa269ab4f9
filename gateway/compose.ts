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
  /** Runs the steps in order until one refuses. Never rejects. */
  readonly run: (request: From, watch?: Watch) => Promise<Outcome<From, Known>>
}

/** All that is known at the end of a way. */
export type KnownOf<W> = W extends Way<infer _From, infer Known> ? Known : never

type Unused<Name extends string, Known> = Name extends keyof Known
  ? `${Name} is known already`
  : Name
type Flat<T> = { readonly [K in keyof T]: T[K] }
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

  const run = async (request: From, watch?: Watch): Promise<Outcome<From, Known>> => {
    const facts = request as Record<string, unknown> // steps see it read-only; only this loop adds to it
    const stop = (at: string, problem: Problem) =>
      ({ ok: false, at, problem, request: request as From & Partial<Known> }) as const
    let since = watch ? performance.now() : 0
    const tell = (name: string) => {
      if (!watch) return
      const now = performance.now()
      watch(name, now - since)
      since = now
    }
    for (const { name, step } of entries) {
      try {
        const soon = step(facts as never)
        const result = soon instanceof Promise ? await soon : soon
        tell(name)
        if (!result.ok) return stop(name, result.problem)
        if (result.value !== undefined) facts[name] = result.value
      } catch (cause) {
        tell(name)
        return stop(name, { tag: 'internal', cause }) // a bug of ours is a 500 and a stack in the log, never a pass
      }
    }
    return { ok: true, request: request as unknown as Known }
  }

  return {
    names,
    // Their types are what the caller sees; in here all steps are alike.
    learn: append as never,
    guard: append as never,
    run,
  }
}
