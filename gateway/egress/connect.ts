import type { SecureContext } from 'node:tls'
import type { EgressDecision, EgressProtocol } from '#contract/egress'
import { pass, type Result } from '#contract/problem'
import type { Step } from '#contract/step'
import { placeOf } from './allow.ts'
import type { dial, Dialled } from './dial.ts'
import type { Addresses } from './find-addresses.ts'
import type { ReadBuffers } from './read-buffers.ts'
import type { Ask } from './read-ask.ts'
import type { EgressReceived } from './received.ts'

export type Connection = Dialled & { readonly connectMs: number }

export type ConnectOptions = {
  readonly dial: typeof dial
  readonly connectTimeoutMs: number
  /** Whose certificates are believed, where TLS is made here. */
  readonly destinationRoots: SecureContext
  /** What tunnels are read into that nobody looks into. */
  readonly reads: ReadBuffers
}

export type ConnectNeeds = Pick<EgressReceived, 'gone'> & {
  readonly ask: Ask
  readonly decision: EgressDecision
  readonly addresses: Addresses
}

/** Opens the connection that all the steps before were about. The last step, so nothing can leave it lying open. */
export const connect =
  (options: ConnectOptions): Step<ConnectNeeds, Connection> =>
  (needs) =>
    openConnection(needs, offeredTo[needs.decision.protocol], options)

/** What is offered to destinations (ALPN) where TLS is made here. */
const offeredTo: Partial<Record<EgressProtocol, readonly string[]>> = {
  https: ['http/1.1'],
  'tls-inspected': ['h2', 'http/1.1'],
}

/**
 * Opens a connection to a judged address.
 *
 * @param alpn What is offered; undefined where TLS is not made here.
 * @returns Refuses as `dial` does.
 */
export const openConnection = async (
  { ask, decision, addresses, gone }: ConnectNeeds,
  alpn: readonly string[] | undefined,
  { dial, connectTimeoutMs, destinationRoots: roots, reads }: ConnectOptions,
): Promise<Result<Connection>> => {
  const began = performance.now()
  const place = placeOf({ ask, decision })
  const dialled = await dial({
    addresses: addresses.open,
    port: place.port,
    timeoutMs: connectTimeoutMs,
    signal: gone,
    ...(alpn ? { tls: { ...place, roots, alpn } } : {}),
    ...(ask.kind === 'tunnel' && !alpn ? { reads } : {}),
  })
  return dialled.ok ? pass({ ...dialled.value, connectMs: performance.now() - began }) : dialled
}
