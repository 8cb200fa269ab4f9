import type { Duplex } from 'node:stream'
import type { Inspection } from '#contract/inspection'
import type { Problem } from '#contract/problem'
import { admitUpgrade } from '../web-socket.ts'
import type { Outgoing } from './forward.ts'
import { admitHead } from './relay-answer.ts'

/**
 * Judges a destination's 101 before the workload gets one: it must answer the key, hold nothing that was added to the
 * request, and be for a workload that is still there and was not cut off.
 *
 * @returns What stands against it; undefined if nothing does.
 */
export const admitAgreement = async (
  { ask, credential }: Outgoing,
  headers: readonly string[],
  workload: Duplex,
  inspection: Inspection | undefined,
  cutFor: () => Problem | undefined,
): Promise<Problem | undefined> => {
  const answered = await admitUpgrade(ask.head, headers, inspection, 'destination-broken')
  const admitted = answered.ok ? admitHead(credential, headers) : answered
  const gone: Problem | undefined = workload.destroyed ? { tag: 'caller-gone' } : undefined
  return cutFor() ?? (admitted.ok ? gone : admitted.problem)
}
