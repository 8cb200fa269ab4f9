import { sendProblem, type FastifyInstance } from '#http/listen'
import { operatorRoutes, type OperatorParts } from '#http/operator-routes'
import { objectionToPage } from '#http/own-page'
import { textsOf, type AdminAnswer, type AdminQuestion } from './ask-app.ts'

export type PrimaryRoutes = OperatorParts & {
  /** The host that the listener was told to listen on. */
  readonly host: string
  /** What is not about all workers is answered by one of them. */
  readonly askWorker: (question: AdminQuestion) => Promise<AdminAnswer>
}

/** The framing is that of the answer that goes out. */
const notPassedOn = new Set(['content-length', 'transfer-encoding', 'connection', 'keep-alive'])

/** What operators ask of several processes that serve as one: see `routes.ts`. */
export const primaryRoutes = (app: FastifyInstance, parts: PrimaryRoutes): void => {
  app.addHook('onRequest', async (request, reply) => {
    const problem = objectionToPage(request.headers, parts.host)
    return problem === undefined ? undefined : sendProblem(reply, problem)
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))

  operatorRoutes(app, parts)
  app.all('/*', async (request, reply) => {
    const { method, url, headers, body } = request
    const answer = await parts.askWorker({
      method,
      url,
      headers: textsOf(headers),
      body: Buffer.isBuffer(body) ? body.toString('base64') : '',
    })
    for (const [name, value] of Object.entries(answer.headers))
      if (!notPassedOn.has(name)) reply.header(name, value)
    return reply.code(answer.status).send(Buffer.from(answer.body, 'base64'))
  })
}
