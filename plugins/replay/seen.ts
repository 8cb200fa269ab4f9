import type { Soon } from '#contract/step'

/** What became of one id: it was not there yet, it was there, or nobody can tell. */
export type Sighting = 'first' | 'again' | 'unknown'

/** Remembers ids until they end. It never throws and never waits long. */
export type Seen = {
  /** Checks and remembers in one go: of two with one id, one is the first. */
  readonly see: (id: string, expiresAtMs: number) => Soon<Sighting>
  readonly close: () => Promise<void>
}
