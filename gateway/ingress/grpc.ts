import { isGrpcType } from '#contract/grpc'
import { admitted, refuse } from '#contract/problem'
import { headerOf, type RequestHead } from '#contract/request-head'
import type { Guard } from '#contract/step'
import type { CompiledRoute } from './compiled-route.ts'
import type { Received } from './received.ts'

/**
 * Refuses gRPC where its status could not come through, which is the last thing of an answer: over HTTP/1.1 with
 * `grpc-needs-http2`, to a service that is only spoken to in that with `upstream-without-http2`. Where the service chooses,
 * that is known when there is a connection (`relay.ts`).
 */
export const grpcOverHttp2: Guard<
  Pick<Received, 'raw' | 'body'> & { readonly head: RequestHead; readonly route: CompiledRoute }
> = ({ raw, body, head, route }) => {
  if (head.isGrpc)
    return route.upstream.config.protocol === 'http1'
      ? refuse('upstream-without-http2', { cause: 'its `protocol` is `http1`' })
      : admitted
  if (!body.expected || raw.httpVersion === '2') return admitted
  return isGrpcType(headerOf(head, 'content-type') ?? '') ? refuse('grpc-needs-http2') : admitted
}
