import { grpcMessage, grpcStatusOf } from '#contract/grpc'
import { problems, type Problem } from '#contract/problem'
import type { CallerResponse } from './caller.ts'

/**
 * Refuses a call of gRPC in its own words: 200, `grpc-status` and `grpc-message`, as an answer without a message or at the
 * end of one that has begun.
 *
 * @param headers What else the answer says of the problem.
 * @returns The `grpc-status`; undefined where it can only be broken off.
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, Trailers-Only
 */
export const replyGrpc = (
  res: CallerResponse,
  problem: Problem,
  headers: readonly string[],
): number | undefined => {
  const grpcStatus = grpcStatusOf(problems[problem.tag].status)
  const said = [
    'grpc-status',
    String(grpcStatus),
    'grpc-message',
    grpcMessage(textOf(problem)),
    ...headers,
  ]
  if (!res.headersSent) {
    res.endWithHead?.(200, ['content-type', 'application/grpc', ...said])
    return grpcStatus
  }
  // What still waits for the caller's window would come first, and a caller that is cut off might never take it.
  if (res.writableEnded || res.writableLength > 0) return undefined
  res.endWithTrailers?.(said)
  return grpcStatus
}

const textOf = ({ tag, detail }: Problem): string => {
  const { title } = problems[tag]
  return detail === undefined ? title : `${title} ${detail}`
}
