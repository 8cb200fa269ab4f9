import type { Soon } from '#contract/step'

/** One limit: how much one key may ask for in one window. */
export type BucketLimit = {
  /** Keeps the keys of different limits apart in one store; has no `:` in it. */
  readonly name: string
  readonly points: number
  readonly windowSeconds: number
}

/** What became of one request of one key. */
export type Spent = {
  readonly admitted: boolean
  readonly remaining: number
  /** Until the window of this key ends. */
  readonly resetMs: number
  /** Who decided; `fallback` is the local limiter while the shared store is away. */
  readonly store: 'memory' | 'redis' | 'fallback'
}

/** Counts the requests of each key. It never throws and never waits long: a store that is away is not an answer. */
export type Bucket = {
  readonly limit: BucketLimit
  readonly take: (key: string) => Soon<Spent>
}

/** Where limits are counted. Buckets of the same name and store count together, so a reload loses no count. */
export type BucketStore = {
  readonly bucket: (limit: BucketLimit) => Bucket
  readonly close: () => Promise<void>
}
