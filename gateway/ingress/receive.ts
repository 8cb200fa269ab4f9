import type { Result } from '#contract/problem'
import type { RequestHead } from '#contract/request-head'
import type { Step } from '#contract/step'
import { originReader, type Origin, type OriginOptions } from '#http/forwarded'
import type { RawHead } from '#http/raw-gate'
import type { Received } from './received.ts'

/** Reads the head once: well-formed, its path normalised, reserved and hop-by-hop headers gone. */
export const readHead =
  (
    gate: (raw: RawHead, early?: Buffer) => Result<RequestHead>,
  ): Step<Pick<Received, 'raw' | 'early'>, RequestHead> =>
  ({ raw, early }) =>
    gate(raw, early)

/**
 * Finds where a request comes from: the socket's other end, or what a trusted proxy there says.
 *
 * @returns A step refusing with `request-malformed` a request that has been here before.
 */
export const findOrigin = (
  options: OriginOptions,
): Step<Pick<Received, 'raw' | 'peer'> & { readonly head: RequestHead }, Origin> => {
  const read = originReader(options)
  return ({ raw, peer, head }) => read(raw.rawHeaders, peer, head, raw.httpVersion)
}
