import type { FastifyReply, FastifyRequest } from '#http/listen'

/** Where nobody reads the rest of a body, the answer is the last on its connection. HTTP/2 has no such word, and needs none. */
export const lastOnConnectionIfUnread = (request: FastifyRequest, reply: FastifyReply): void => {
  const { complete, httpVersionMajor } = request.raw
  if (!complete && httpVersionMajor === 1) reply.header('connection', 'close')
}
