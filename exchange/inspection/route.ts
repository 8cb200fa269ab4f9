import { pass, refuse, type Result } from '#contract/problem'
import type { SpiffeId } from '#contract/spiffe-id'
import { csrRoute, type CsrRouteParts } from '../csr-route.ts'
import type { Visit } from '../visits.ts'
import { leafAnswerer, type AnswerLeafParts } from './answer-leaf.ts'

export type InspectionRouteParts = AnswerLeafParts &
  CsrRouteParts & { readonly gateways: ReadonlySet<SpiffeId> }

/**
 * `POST /inspection/certificate?host=NAME`: a certificate for a host that is inspected, for the key of the request's body,
 * which stays at the gateway. For gateways alone, over mTLS.
 */
export const inspectionRoute = (parts: InspectionRouteParts) => {
  const answer = leafAnswerer(parts)
  return csrRoute<Gateway>(
    {
      path: '/inspection/certificate',
      parameters: ['host'],
      kind: 'inspection-leaf',
      applicantOf: (_request, visit) => gatewayOf(visit, parts.gateways),
      answer: ({ spiffeId }, csr, request, { record, nowMs }) => {
        const { host } = request.query as Readonly<Record<string, unknown>>
        return answer(spiffeId, host, csr, nowMs, record)
      },
    },
    parts,
  )
}

type Gateway = { readonly spiffeId: SpiffeId }

const gatewayOf = ({ peer, record }: Visit, gateways: ReadonlySet<SpiffeId>): Result<Gateway> => {
  if (peer.kind !== 'proven')
    return refuse(
      'client-unauthenticated',
      peer.kind === 'refused' ? { cause: peer.fault } : undefined,
    )
  const { spiffeId } = peer
  record.learn({ client: spiffeId })
  return gateways.has(spiffeId) ? pass({ spiffeId }) : refuse('client-not-allowed')
}
