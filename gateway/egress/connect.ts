import { pass } from '#contract/problem'
import type { Step } from '#contract/step'
import { dial, type Dialled } from './dial.ts'
import type { Addresses } from './find-addresses.ts'
import type { Ask } from './read-ask.ts'
import type { EgressReceived } from './received.ts'

export type Connection = Dialled & { readonly connectMs: number }

/** Opens the connection that all the steps before were about. The last step, so nothing can leave it lying open. */
export const connect =
  (
    timeoutMs: number,
  ): Step<
    Pick<EgressReceived, 'gone'> & { readonly ask: Ask; readonly addresses: Addresses },
    Connection
  > =>
  async ({ ask, addresses, gone }) => {
    const began = performance.now()
    const dialled = await dial({
      addresses: addresses.open,
      port: ask.authority.port,
      timeoutMs,
      signal: gone,
    })
    return dialled.ok ? pass({ ...dialled.value, connectMs: performance.now() - began }) : dialled
  }
