import type { Soon } from '#contract/step'
import type { FastifyInstance } from './listen.ts'

export type OperatorParts = {
  /** Why it should get no traffic now; empty when it is ready. */
  readonly unready: () => Soon<readonly string[]>
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>
  /** What runs. No secrets, no callers. */
  readonly status: () => Soon<object>
}

/**
 * What operators and their machines ask of either process: `GET /healthz`, which answers as long as the event loop runs;
 * `/readyz` with reasons; `/metrics`; `/status`.
 */
export const operatorRoutes = (app: FastifyInstance, parts: OperatorParts): void => {
  app.get('/healthz', async () => ({ status: 'ok' }))
  app.get('/readyz', async (_request, reply) => {
    const reasons = await parts.unready()
    const ready = reasons.length === 0
    return reply.code(ready ? 200 : 503).send({ ready, reasons })
  })
  app.get('/metrics', async (_request, reply) => {
    const { contentType, body } = await parts.metrics()
    return reply.type(contentType).send(body)
  })
  app.get('/status', async (_request, reply) =>
    reply.header('cache-control', 'no-store').send(await parts.status()),
  )
}
