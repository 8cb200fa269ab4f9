import type { SecureContext } from 'node:tls'
import type { EgressDecision } from '#contract/egress'
import { pass } from '#contract/problem'
import type { Step } from '#contract/step'
import { placeOf } from './allow.ts'
import { dial, type Dialled } from './dial.ts'
import type { Addresses } from './find-addresses.ts'
import type { Ask } from './read-ask.ts'
import type { EgressReceived } from './received.ts'

export type Connection = Dialled & { readonly connectMs: number }

type Options = {
  readonly connectTimeoutMs: number
  readonly destinationRoots: SecureContext
}
type Needs = Pick<EgressReceived, 'gone'> & {
  readonly ask: Ask
  readonly decision: EgressDecision
  readonly addresses: Addresses
}

/** Opens the connection that all the steps before were about. The last step, so nothing can leave it lying open. */
export const connect =
  ({ connectTimeoutMs, destinationRoots: roots }: Options): Step<Needs, Connection> =>
  async ({ ask, decision, addresses, gone }) => {
    const began = performance.now()
    const place = placeOf({ ask, decision })
    const dialled = await dial({
      addresses: addresses.open,
      port: place.port,
      timeoutMs: connectTimeoutMs,
      signal: gone,
      ...(decision.protocol === 'https' ? { tls: { ...place, roots, alpn: ['http/1.1'] } } : {}),
    })
    return dialled.ok ? pass({ ...dialled.value, connectMs: performance.now() - began }) : dialled
  }
