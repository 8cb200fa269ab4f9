import { admitted, refuse } from '#contract/problem'
import type { RequestHead } from '#contract/request-head'
import type { Guard } from '#contract/step'
import { hasWebSocketKey } from '../web-socket.ts'
import type { CompiledRoute } from './compiled-route.ts'
import type { Received } from './received.ts'

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
  return hasWebSocketKey(head)
    ? admitted
    : refuse('upgrade-refused', { detail: 'Sec-WebSocket-Key is missing or not 16 bytes.' })
}
