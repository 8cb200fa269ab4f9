import type { Clock } from '#contract/clock'
import { pass, refuse, type Result } from '#contract/problem'
import type { Quarantine, QuarantineOutcome, QuarantineSelector } from '#contract/quarantine'
import type { FastifyInstance, FastifyReply, FastifyRequest } from '#http/listen'
import { quarantineRecord } from '../quarantine-record.ts'
import type { Orders } from './orders.ts'

export type QuarantineRoutesParts = {
  readonly quarantine: Quarantine
  readonly orders: Orders
  readonly clock: Clock
  /** What the configuration names: an entry about anything else does nothing here. */
  readonly named: () => {
    readonly routes: readonly string[]
    /** Their names and their `iss`. */
    readonly issuers: readonly string[]
  }
}

const defaultListed = 1000
const maxListed = 10_000
const maxActorChars = 200
const maxReasonChars = 500

/**
 * `GET /quarantine?max=` shows who is cut off; `POST /quarantine` cuts off, `DELETE /quarantine/:id` lets in again. Both say
 * who ordered it and leave a record. An order that is answered is in force here.
 */
export const quarantineRoutes = (app: FastifyInstance, parts: QuarantineRoutesParts): void => {
  const { quarantine, orders, clock } = parts

  app.get('/quarantine', async (request, reply) => {
    const max = Number((request.query as { max?: unknown }).max ?? defaultListed)
    const shown = Number.isInteger(max) ? Math.min(maxListed, Math.max(0, max)) : defaultListed
    return reply
      .header('cache-control', 'no-store')
      .send({ ...quarantine.status(), ...quarantine.list(clock(), shown) })
  })

  const answer = (
    request: FastifyRequest,
    reply: FastifyReply,
    outcome: Result<QuarantineOutcome>,
    status: number,
  ) => {
    if (!outcome.ok) return orders.turnDown(request, reply, outcome.problem)
    orders.of(request).learn(quarantineRecord(outcome.value.entry))
    return reply.code(status).header('cache-control', 'no-store').send(outcome.value)
  }

  app.post('/quarantine', { onRequest: orders.begin }, async (request, reply) => {
    orders.of(request).learn(orderedBy(request.body))
    const added = await quarantine.add(request.body)
    if (!added.ok) return answer(request, reply, added, 201)
    const unknown = unknownHere(added.value.entry.by, parts)
    const warnings = [...added.value.warnings, ...unknown]
    return answer(request, reply, pass({ ...added.value, warnings }), 201)
  })

  app.delete('/quarantine/:id', { onRequest: orders.begin }, async (request, reply) => {
    const order = liftOrder(request.body)
    if (!order.ok) return orders.turnDown(request, reply, order.problem)
    const { actor, reason } = order.value
    orders
      .of(request)
      .learn({ orderedBy: actor, ...(reason === undefined ? {} : { detail: reason }) })
    const { id } = request.params as { id: string }
    return answer(request, reply, await quarantine.lift(id), 200)
  })
}

/** For the record, even of an order that is refused for something else. */
const orderedBy = (body: unknown): { readonly orderedBy?: string } => {
  const { actor } = (typeof body === 'object' && body !== null ? body : {}) as { actor?: unknown }
  return isLine(actor, maxActorChars) ? { orderedBy: actor } : {}
}

type LiftOrder = { readonly actor: string; readonly reason: string | undefined }

/** Reads the body of a `DELETE`: `{ actor, reason? }`. */
const liftOrder = (body: unknown): Result<LiftOrder> => {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    return malformed('The body must be a JSON object with the actor, and perhaps a reason.')
  const { actor, reason, ...others } = body as Readonly<Record<string, unknown>>
  const [other] = Object.keys(others)
  if (other !== undefined) return malformed(`There is nothing named ${JSON.stringify(other)}.`)
  if (!isLine(actor, maxActorChars)) return malformed('actor must be a line of text.')
  if (reason !== undefined && !isLine(reason, maxReasonChars))
    return malformed('reason must be a line of text.')
  return pass({ actor, reason })
}

const isLine = (value: unknown, maxChars: number): value is string =>
  typeof value === 'string' &&
  value.trim() !== '' &&
  value.length <= maxChars &&
  !/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u.test(value)

/** A slip of the pen would look as if somebody had been cut off. */
const unknownHere = (
  by: QuarantineSelector,
  { named }: QuarantineRoutesParts,
): readonly string[] => {
  const { routes, issuers } = named()
  if (by.kind === 'route' && !routes.includes(by.route))
    return [`This gateway has no route ${by.route}.`]
  if ('issuer' in by && by.issuer !== undefined && !issuers.includes(by.issuer))
    return [`This gateway trusts no issuer ${by.issuer}.`]
  return []
}

const malformed = (detail: string) => refuse('request-malformed', { detail })
