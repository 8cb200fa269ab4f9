import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { problemDetails, problemMediaType } from '#contract/problem-details'
import { problems } from '#contract/problem'
import type { Guard } from '#contract/step'

/**
 * Any guard as a Fastify plugin: for the exchange, for the admin listener, for anyone's own app. It stands before every
 * route of the instance that registers it, those for unknown paths too; what it refuses is answered as a problem
 * (RFC 9457), and no handler sees it.
 *
 * @param name Distinguishes it from other guards of the same app.
 * @param read Gets from a request what the guard needs to know.
 */
export const asFastifyPlugin = <Needs>(
  name: string,
  guard: Guard<Needs>,
  read: (request: FastifyRequest) => Needs,
): FastifyPluginAsync =>
  fastifyPlugin(
    async (app) => {
      app.addHook('onRequest', async (request, reply) => {
        const result = await guard(read(request))
        if (result.ok) return
        const { problem } = result
        return reply
          .code(problems[problem.tag].status)
          .headers({
            ...problem.headers,
            'cache-control': 'no-store',
            'x-sallyport-problem': problem.tag,
          })
          .type(problemMediaType)
          .send(problemDetails(problem))
      })
    },
    { name: `sallyport-${name}`, fastify: '5.x' },
  )
