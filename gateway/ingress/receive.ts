import { pass, type Result } from '#contract/problem'
import type { RequestHead } from '#contract/request-head'
import type { Step } from '#contract/step'
import type { RawHead } from '#http/raw-gate'

/** Reads the head once: well-formed, its path normalised, reserved and hop-by-hop headers gone. */
export const readHead =
  (gate: (raw: RawHead) => Result<RequestHead>): Step<{ readonly raw: RawHead }, RequestHead> =>
  ({ raw }) =>
    gate(raw)
