import type { FastifyInstance } from '#http/listen'
import type { Authority } from '../ca/authority.ts'
import type { JoinTokens } from '../join-tokens.ts'
import { keyStatus } from './status.ts'

export type AdminReadParts = {
  readonly authority: Authority
  readonly joinTokens: JoinTokens
  /** Why it should get no traffic now; empty when it is ready. */
  readonly unready: () => readonly string[]
  /** What else `GET /status` shows. */
  readonly status: () => object
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>
}

/** What may be read of the exchange's state: `GET /healthz`, `/readyz` with reasons, `/metrics`, `/status`. */
export const adminReads = (app: FastifyInstance, parts: AdminReadParts): void => {
  app.get('/healthz', async () => ({ status: 'ok' }))
  app.get('/readyz', async (_request, reply) => {
    const reasons = parts.unready()
    return reply
      .code(reasons.length === 0 ? 200 : 503)
      .send({ ready: reasons.length === 0, reasons })
  })
  app.get('/metrics', async (_request, reply) => {
    const { contentType, body } = await parts.metrics()
    return reply.type(contentType).send(body)
  })
  app.get('/status', async (_request, reply) =>
    reply.header('cache-control', 'no-store').send({
      keys: keyStatus(parts.authority.current()),
      joinTokensOutstanding: parts.joinTokens.outstanding(),
      ...parts.status(),
    }),
  )
}
