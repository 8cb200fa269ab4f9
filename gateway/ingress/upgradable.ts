import { admitted, refuse } from '#contract/problem'
import { headerOf, type RequestHead } from '#contract/request-head'
import type { Guard } from '#contract/step'
import type { CompiledRoute } from './compiled-route.ts'
import type { Received } from './received.ts'

/** 16 bytes in base64. */
const keyPattern = /^[A-Za-z0-9+/]{22}==$/

/**
 * Refuses with `upgrade-refused` where the route does not offer WebSocket, and what is no handshake of it. Which version
 * is spoken the service says.
 *
 * @see RFC 6455 §4.1
 */
export const upgradable: Guard<
  Pick<Received, 'door'> & { readonly head: RequestHead; readonly route: CompiledRoute }
> = ({ door, head, route }) => {
  if (door !== 'upgrade') return admitted
  if (!route.config.websocket) return refuse('upgrade-refused')
  return keyPattern.test(headerOf(head, 'sec-websocket-key') ?? '')
    ? admitted
    : refuse('upgrade-refused', { detail: 'Sec-WebSocket-Key is missing or not 16 bytes.' })
}
