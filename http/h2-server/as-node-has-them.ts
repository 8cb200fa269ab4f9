import type { IncomingMessage, ServerResponse } from 'node:http'
import type { H2Request } from './caller-request.ts'
import type { H2Response } from './caller-response.ts'

/**
 * A request and its answer in the form of Node's own, for Fastify. They are the same objects: of Node's compatible ones
 * half of a body whose stream was reset would be a whole one, and an answer that could not be sent a sent one.
 */
export const asNodeHasThem = (
  request: H2Request,
  response: H2Response,
): [req: IncomingMessage, res: ServerResponse] => {
  request.showHeaders()
  if (request.headers.expect !== undefined) response.writeContinue()
  const [req, res]: readonly unknown[] = [request, response]
  return [req as IncomingMessage, res as ServerResponse] // alike in all that Fastify asks of them
}
