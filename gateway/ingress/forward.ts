import { grpcUnavailable } from '#contract/grpc'
import type { CallerResponse } from '#http/caller'
import type { Sent } from '../answer.ts'
import type { RequestOutcome } from '../upstream/ejection.ts'
import type { Admitted } from './pipeline.ts'
import { relay, type Agreed, type Relayed, type Relaying, type UpstreamResult } from './relay.ts'

export type Forwarding = Relaying & {
  readonly ended: (upstream: string, result: UpstreamResult) => void
}

/**
 * Passes an admitted request to its endpoint and the answer back, streaming both ways. Throws only for a bug of ours.
 *
 * @param end Told what was sent once the last byte is through or cannot come.
 * @param agreed Takes over when the upstream agrees to an upgrade; without it none is asked for.
 */
export const forward = (
  request: Admitted,
  res: CallerResponse,
  forwarding: Forwarding,
  end: (sent: Sent) => void,
  agreed?: Agreed,
): void => {
  const { route, endpoint } = request
  const cutBy = forwarding.cut.by()
  if (cutBy) {
    endpoint.done('says nothing')
    return end(forwarding.refuse(cutBy))
  }
  /** Called by a connection that others share, or by the caller's: what is thrown here would not come to us. */
  const over = ({ sent, result }: Relayed) => {
    let told = sent
    try {
      endpoint.done(outcomeOf(result, sent))
      forwarding.ended(route.upstream.name, result)
    } catch (cause) {
      told = forwarding.refuse({ tag: 'internal', cause })
    }
    end(told)
  }
  try {
    relay(request, res, forwarding, over, agreed)
  } catch (cause) {
    endpoint.done('says nothing')
    throw cause
  }
}

/** What a proxy says when there is no service behind it, or one that is overwhelmed. */
const gatewayFailures: ReadonlySet<number> = new Set([502, 503, 504])

const outcomeOf = (result: UpstreamResult, { status, grpcStatus }: Sent): RequestOutcome => {
  switch (result) {
    case 'ok':
      return gatewayFailures.has(status) || grpcStatus === grpcUnavailable ? 'failed' : 'ok'
    case 'unreachable':
    case 'identity-wrong':
    case 'broken':
    case 'timeout':
      return 'failed'
    case 'no-http2':
    case 'busy':
    case 'caller-gone':
      return 'says nothing'
    default:
      return result satisfies never
  }
}
