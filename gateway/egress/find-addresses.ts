import type { EgressAllowlist, EgressDecision, JudgedAddress } from '#contract/egress'
import { pass, refuse, type Result } from '#contract/problem'
import type { Step } from '#contract/step'
import type { Egress } from '#config/schema'
import type { Ask } from './read-ask.ts'
import type { NameResolver, Resolved } from './resolver.ts'

/** What a destination's name led to: all of it, judged, and what of it may be dialled. */
export type Addresses = {
  readonly judged: readonly JudgedAddress[]
  /** Names between it and them. */
  readonly aliases: readonly string[]
  readonly open: readonly string[]
  readonly lookupMs: number
}

/** Why `address-denied`. */
export type ClosedAddresses = Pick<Addresses, 'judged' | 'aliases'>

type Options = {
  readonly allowlist: EgressAllowlist
  readonly resolver: NameResolver
  readonly answers: Egress['dns']['answers']
}

/**
 * Resolves the host once and judges every address that it has. One that is closed closes the name, unless the
 * configuration takes those that are open.
 *
 * @returns A step refusing with `address-denied`, its cause `ClosedAddresses`, or as the resolver does.
 */
export const findAddresses = ({
  allowlist,
  resolver,
  answers,
}: Options): Step<{ readonly ask: Ask; readonly decision: EgressDecision }, Addresses> => {
  const judge = (
    { addresses, aliases }: Resolved,
    { authority: { host } }: Ask,
    decision: EgressDecision,
    lookupMs: number,
  ): Result<Addresses> => {
    const judged = addresses.map((address) =>
      allowlist.judgeAddress(address, decision.port, decision.opened),
    )
    const open = judged.filter(({ isAllowed }) => isAllowed)
    const isOpen = answers === 'all' ? open.length === judged.length : open.length > 0
    if (isOpen && open.length > 0)
      return pass({ judged, aliases, open: open.map(({ address }) => address), lookupMs })
    const closed = judged.find(({ isAllowed }) => !isAllowed)
    return refuse('address-denied', {
      // The address itself is not told: a caller could map a network by names of its own.
      detail: `${host} leads to an address that is closed (${closed?.class ?? 'none'}), and rule \`${decision.rule}\` does not open it.`,
      cause: { judged, aliases } satisfies ClosedAddresses,
    })
  }

  return ({ ask, decision }) => {
    const { host, isAddress } = ask.authority
    if (isAddress) return judge({ addresses: [host], aliases: [] }, ask, decision, 0)
    const began = performance.now()
    return resolver
      .resolve(host)
      .then((found) =>
        found.ok ? judge(found.value, ask, decision, performance.now() - began) : found,
      )
  }
}
