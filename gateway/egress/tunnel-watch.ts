import type { Problem } from '#contract/problem'

/** Of a part of what comes through a tunnel: what may go on by now, or what stands against all of it. */
export type Watched = Buffer | TunnelRefusal

export type TunnelRefusal = {
  readonly problem: Problem
  /** The last that the workload gets. */
  readonly farewell?: Buffer
}

/** Looks at what comes through a tunnel before it goes on. */
export type TunnelWatch = {
  /** From the workload. Absent where nobody looks. */
  readonly out?: (chunk: Buffer) => Watched
  /** From the destination. */
  readonly in: (chunk: Buffer) => Watched
  /** Of the destination: what was held back, once it has sent all. */
  readonly rest?: () => Buffer
  /** Nothing is left to look at, and nothing is held. */
  readonly isOver: () => boolean
}

export const isRefusal = (watched: Watched): watched is TunnelRefusal => !Buffer.isBuffer(watched)
