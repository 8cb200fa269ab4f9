import type { Clock } from '#contract/clock'
import type { SpiffeId } from '#contract/spiffe-id'
import { sendProblem, type FastifyInstance } from '#http/listen'
import type { PeerOf } from '../peer.ts'
import { adminReads, type AdminReadParts } from './reads.ts'

export type AdminForGatewaysParts = AdminReadParts & {
  readonly gateways: ReadonlySet<SpiffeId>
  readonly peerOf: PeerOf
  readonly clock: Clock
}

/**
 * What gateways may read over mTLS below `/admin`, so that operators see both processes at a gateway's console. Orders
 * are taken on the admin listener alone.
 */
export const adminForGateways = (app: FastifyInstance, parts: AdminForGatewaysParts): void => {
  const { gateways, peerOf, clock } = parts
  app.register(
    async (scope) => {
      scope.addHook('onRequest', async (request, reply) => {
        const peer = peerOf(request.socket, clock())
        if (peer.kind !== 'proven') return sendProblem(reply, { tag: 'client-unauthenticated' })
        return gateways.has(peer.spiffeId)
          ? undefined
          : sendProblem(reply, { tag: 'client-not-allowed' })
      })
      adminReads(scope, parts)
    },
    { prefix: '/admin' },
  )
}
