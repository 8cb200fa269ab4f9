import { Socket } from 'node:net'
import { createSecureContext } from 'node:tls'
import { pass, problems, refuse } from '#contract/problem'
import { trustDomainOf } from '#contract/spiffe-id'
import type { Egress, GatewayConfig } from '#config/schema'
import type { Way } from '#gateway/compose'
import { accounts } from '#gateway/egress/accounts'
import { placeOf } from '#gateway/egress/allow'
import { buildEgress } from '#gateway/egress/build'
import type { Credential } from '#gateway/egress/credentials/credential'
import { inspected } from '#gateway/egress/inspection/pipeline'
import type { InspectedReceived } from '#gateway/egress/inspection/tunnel'
import { ownListeners } from '#gateway/egress/own-listeners'
import type { EgressParts } from '#gateway/egress/parts'
import { egress, type Admitted } from '#gateway/egress/pipeline'
import type { EgressReceived } from '#gateway/egress/received'
import type { UpgradingClient } from '#gateway/upstream/undici-client'
import { shelf } from '#gateway/shelf'
import { egressAllowlist } from '#plugins/egress-allowlist/guard'
import { linesOf, receivedOut, type AskedOut } from './asked-out.ts'
import { noFederation, offlinePorts, type ExplainedStep, type Explanation } from './explanation.ts'
import { whatItLearnedOut, type OutFacts } from './what-it-learned-out.ts'
import { whyRefused } from './why-refused.ts'

/**
 * Runs a request or a tunnel along the very way that the gateway runs it, and what comes through the tunnel along the way of
 * that, where the gateway would look into it. The name is resolved; nothing is dialled, fetched or asked for.
 */
export const egressExplanation = async (
  config: GatewayConfig & { readonly egress: Egress },
  asked: AskedOut,
): Promise<Explanation> => {
  const hand = shelf().hand()
  const ports = { ...offlinePorts(config), openAllowlist: egressAllowlist, mint: noMint }
  const parts = promising(
    await buildEgress(config, ports, stateOf(config), hand, noFederation),
    asked,
  )
  const { outer, inner } = linesOf(asked)
  const first = await explain(egress(parts), receivedOut(asked, outer))
  const isSeen = first.admitted?.decision.protocol === 'tls-inspected'
  const within =
    inner && first.admitted && isSeen
      ? await explain(inspected(parts), throughTunnel(receivedOut(asked, inner), first.admitted))
      : undefined
  hand.release()

  const steps = [
    ...first.steps,
    ...(within?.steps ?? []).map((one) => ({ ...one, step: `within: ${one.step}` })),
  ]
  const asksFor = inner ? `CONNECT ${outer.url}, and ` : ''
  const what = outer.url === asked.destination && !inner ? outer.method : asked.method
  const request = `${asked.workload}: ${asksFor}${what} ${asked.destination}`
  const problem = first.problem ?? within?.problem
  if (problem || !first.admitted) {
    const tag = problem ?? 'internal'
    const { status, title } = problems[tag]
    return { request, steps, verdict: { forwarded: false, status, problem: tag, title } }
  }
  const to = destinationOf({ ...first.admitted, ...within?.admitted })
  const unseen =
    inner && !isSeen ? `; nobody looks into that tunnel, at ${inner.method} or its path` : ''
  return { request, steps, verdict: { forwarded: true, to: `${to}${unseen}` } }
}

const explain = async <From extends EgressReceived, Known extends From>(
  way: Way<From, Known>,
  received: From,
) => {
  const ran: string[] = []
  const outcome = await way.run(received, (step) => ran.push(step))
  const facts = outcome.request as OutFacts
  const steps = way.names.map((step): ExplainedStep => {
    if (!ran.includes(step)) return { step, outcome: 'not reached', says: '' }
    if (!outcome.ok && outcome.at === step)
      return { step, outcome: 'refused', says: whyRefused(outcome.problem) }
    return { step, outcome: 'admitted', says: whatItLearnedOut(step, facts) }
  })
  return outcome.ok
    ? { steps, admitted: outcome.request, problem: undefined }
    : { steps, admitted: undefined, problem: outcome.problem.tag }
}

const stateOf = ({ listeners }: GatewayConfig) => {
  const ports = [listeners.ingress, listeners.egress, listeners.admin].flatMap(
    (one) => one?.port ?? [],
  )
  return {
    accounts: accounts(),
    bundle: () => undefined,
    isOwn: ownListeners(() => ports),
    leaves: {
      of: () => pass({ context: createSecureContext(), notBeforeMs: 0, notAfterMs: Infinity }),
    },
  }
}

const noMint = async () => refuse('identity-unavailable', { cause: 'nothing is minted here' })

/** Where the gateway would connect or fetch there is a promise instead; no secret is used. */
const promising = (parts: EgressParts, { workload, addresses }: AskedOut): EgressParts => {
  const promised = pass({ attachment: { headers: [], removes: [], needles: [] } })
  const domain = trustDomainOf(workload)
  return {
    ...parts,
    // Its certificate would be checked by the bundle of its own trust domain, where that may come.
    trustDomain: parts.federated.trustDomains.has(domain) ? domain : parts.trustDomain,
    credentials: new Map(
      [...parts.credentials].map(([id, { kind }]): [string, Credential] => [
        id,
        { kind, scanBytes: 0, attach: () => promised },
      ]),
    ),
    dial: async ({ addresses: [address = ''] }) => pass({ socket: new Socket(), address }),
    resolver:
      addresses.length > 0
        ? { resolve: async () => pass({ addresses, aliases: [] }), size: () => 0 }
        : parts.resolver,
  }
}

const nowhere = (): never => {
  throw new Error('nothing is sent here')
}
const client: UpgradingClient = {
  dispatch: nowhere,
  upgrade: nowhere,
  stats: nowhere,
  close: async () => {},
  destroy: () => {},
}

const throughTunnel = (received: EgressReceived, tunnel: Admitted): InspectedReceived => ({
  ...received,
  tunnel: {
    ...tunnel,
    authority: tunnel.ask.authority,
    client,
    decided: () => {},
  },
})

const destinationOf = ({ ask, decision, connection, credential }: Admitted): string => {
  const { host, port } = placeOf({ ask, decision })
  const added = credential ? `, with credential ${credential.id}` : ''
  const proof =
    decision.protocol === 'tls' && !ask.authority.isAddress
      ? `; the ClientHello must name ${host}`
      : decision.protocol === 'https' || decision.protocol === 'tls-inspected'
        ? `, who must have a certificate for it`
        : ''
  return `${host} port ${port} at ${connection.address}, by rule ${decision.rule} with protocol ${decision.protocol}${added}${proof}`
}
